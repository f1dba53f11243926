package change

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// KindFile writes or removes a small file. From and To are its mode and owner, and from
// the next line on its text.
const KindFile Kind = "file"

var fileKind = kind{
	name: KindFile,
	find: func(c Change, _ host.Host, parent int, name string) (string, error) {
		return readText(c.Path, parent, name)
	},
	line: func(c Change) string {
		switch {
		case c.To == "":
			return "rm " + c.Path
		case c.From != "":
			return "edit " + c.Path + ":" + editedLines(TextOf(c.From), TextOf(c.To))
		}
		return fmt.Sprintf("printf '%s' > %s", printfText.Replace(TextOf(c.To)), c.Path)
	},
	onDisk: always,
}

// MaxFileText is the longest text that a change holds, in bytes.
const MaxFileText = 1 << 20

// printfText writes a text as a shell's printf takes it between single quotes.
var printfText = strings.NewReplacer("\n", `\n`, `\`, `\\`, "%", "%%", "'", `'\''`)

// readText returns what there is of a file, as From and To of KindFile are.
func readText(path string, parent int, name string) (string, error) {
	return readFile(path, parent, name, func(owner string, f io.Reader) (string, error) {
		text, err := io.ReadAll(io.LimitReader(f, MaxFileText+1))
		if err == nil && len(text) > MaxFileText {
			err = errors.New("it is too long")
		}
		return owner + "\n" + string(text), err
	})
}

// readFile reads a regular file, of which owner is mode and owner; "": nothing is
// there. It neither follows a link nor waits for a pipe.
func readFile(path string, parent int, name string, read func(owner string, f io.Reader) (string, error)) (string, error) {
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
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", host.IrregularError("no regular file")
	}
	return read(host.OwnerText(&st), f)
}

// editedLines lists the lines of from that are not in to, and those of to that are
// not in from: -'old' +'new'. A user may have written the texts: it takes linear time.
func editedLines(from, to string) string {
	var text strings.Builder
	list := func(sign, of, without string) {
		there := map[string]bool{"\n": true}
		for line := range strings.Lines(without) {
			there[line] = true
		}
		for line := range strings.Lines(of) {
			if !there[line] {
				fmt.Fprintf(&text, " %s'%s'", sign, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	list("-", from, to)
	list("+", to, from)
	return text.String()
}

// withText is the state of a file with another text. A new file is root's, and
// everybody may read it.
func withText(state, text string) string {
	owner, _, _ := strings.Cut(cmp.Or(state, "0644 0:0"), "\n")
	return owner + "\n" + text
}

// TextOf is the text in the state of a file.
func TextOf(state string) string {
	_, text, _ := strings.Cut(state, "\n")
	return text
}
