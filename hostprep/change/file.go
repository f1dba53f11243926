package change

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// MaxFileText is the longest text that a change holds, in bytes.
const MaxFileText = 1 << 20

// findFile returns what is there of a file, as From and To of its kind are
// written.
func (c Change) findFile(parent int, name string) (string, error) {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return "", nil
	}
	if errors.Is(err, unix.ELOOP) {
		return "", host.IrregularError("a symbolic link")
	}
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), c.Path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", host.IrregularError("no regular file")
	}
	if c.Kind == KindCopy {
		sum, err := Hash(f, io.Discard)
		return host.OwnerText(&st) + " " + sum, err
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxFileText+1))
	if err == nil && len(text) > MaxFileText {
		err = errors.New("it is too long")
	}
	return host.OwnerText(&st) + "\n" + string(text), err
}

// readLink returns where a symbolic link points; "": nothing is there.
func readLink(parent int, name string) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(parent, name, target)
	switch {
	case errors.Is(err, unix.ENOENT):
		return "", nil
	case errors.Is(err, unix.EINVAL):
		return "", host.IrregularError("no symbolic link")
	}
	return string(target[:max(0, n)]), err
}

// edit says what changes in a file that stays: its lines that go and come.
func (c Change) edit() string {
	from, to := c.From, c.To
	if c.Kind == KindFile {
		_, from, _ = strings.Cut(c.From, "\n")
		_, to, _ = strings.Cut(c.To, "\n")
	}
	text := "edit " + c.Path + ":"
	lines := func(sign, of, without string) {
		there := slices.Collect(strings.Lines(without))
		for line := range strings.Lines(of) {
			if line != "\n" && !slices.Contains(there, line) {
				text += fmt.Sprintf(" %s'%s'", sign, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	lines("-", from, to)
	lines("+", to, from)
	return text
}

// Hash returns the sha256 of what is read, and passes it on.
func Hash(r io.Reader, w io.Writer) (string, error) {
	sum := sha256.New()
	_, err := io.Copy(io.MultiWriter(sum, w), r)
	return fmt.Sprintf("sha256:%x", sum.Sum(nil)), err
}

// withText is the state of a file with another text. A new file is root's, and
// all may read it.
func withText(state, text string) string {
	owner, _, _ := strings.Cut(cmp.Or(state, "0644 0:0"), "\n")
	return owner + "\n" + text
}

// TextOf is the text in the state of a file.
func TextOf(state string) string {
	_, text, _ := strings.Cut(state, "\n")
	return text
}

func HashFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return Hash(f, io.Discard)
}
