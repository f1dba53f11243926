package hostprep

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxFileText is the longest text that a change holds, in bytes.
const maxFileText = 1 << 20

// irregularError is the error of something that is no file to read or replace.
type irregularError string

func (e irregularError) Error() string { return "it is " + string(e) }

// findFile returns what is there of a file, as From and To of its kind are
// written.
func (c Change) findFile(parent int, name string) (string, error) {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return "", nil
	}
	if errors.Is(err, unix.ELOOP) {
		return "", irregularError("a symbolic link")
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
		return "", irregularError("no regular file")
	}
	if c.Kind == KindCopy {
		sum, err := hash(f, io.Discard)
		return ownerText(&st) + " " + sum, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileText+1))
	if err == nil && len(text) > maxFileText {
		err = errors.New("it is too long")
	}
	return ownerText(&st) + "\n" + string(text), err
}

// readLink returns where a symbolic link points; "": nothing is there.
func readLink(parent int, name string) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(parent, name, target)
	switch {
	case errors.Is(err, unix.ENOENT):
		return "", nil
	case errors.Is(err, unix.EINVAL):
		return "", irregularError("no symbolic link")
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

// writeFile puts what To says in the place of name, whole or not at all. It is
// written in the folder above: in some folders, as in libvirt's of hooks, a
// half-written file would be run. From above a mount no file can be moved into
// it; then it is written where it goes.
func (c Change) writeFile(parent int, name string) (err error) {
	for _, at := range []string{"..", "."} {
		var beside int
		beside, err = openat(parent, at)
		if err != nil {
			return err
		}
		err = c.writeFrom(beside, parent, name)
		unix.Close(beside)
		if !errors.Is(err, unix.EXDEV) {
			return err
		}
	}
	return err
}

// writeFrom is writeFile by way of another folder.
func (c Change) writeFrom(beside, parent int, name string) (err error) {
	mode, uid, gid, err := parseOwner(c.To)
	if err != nil {
		return err
	}
	half := halfName(name)
	fd, err := unix.Openat(beside, half, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), half)
	defer func() {
		f.Close()
		if err != nil {
			_ = unix.Unlinkat(beside, half, 0)
		}
	}()
	if err := c.fill(f); err != nil {
		return err
	}
	// The owner first, as another's file loses some of its marks; the mode last,
	// as an access list carries one.
	if err := errors.Join(f.Chown(uid, gid), copyXattrs(parent, name, fd), unix.Fchmod(fd, mode), f.Sync()); err != nil {
		return err
	}
	if err := unix.Renameat(beside, half, parent, name); err != nil {
		return err
	}
	return unix.Fsync(parent)
}

// copyXattrs gives a file the extended attributes of the one that it takes the
// place of: SELinux's label, access lists, and what else there may be. A new one
// gets the label of its folder, as it would have had it been made there. A file
// system without attributes has none to lose.
func copyXattrs(parent int, name string, to int) error {
	from, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return copyXattr(parent, to, "security.selinux")
	}
	if err != nil {
		return err
	}
	defer unix.Close(from)
	list := make([]byte, 1<<16) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(from, list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "listxattr", Path: name, Err: err}
	}
	for attr := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if attr == "" || attr == "security.ima" || attr == "security.evm" {
			continue // hashes of the old file, which the kernel makes anew
		}
		if err := copyXattr(from, to, attr); err != nil {
			return err
		}
	}
	return nil
}

func copyXattr(from, to int, attr string) error {
	value := make([]byte, 1<<16) // XATTR_SIZE_MAX
	size, err := unix.Fgetxattr(from, attr, value)
	if err == nil {
		err = unix.Fsetxattr(to, attr, value[:size], 0)
	}
	if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("keeping the attribute %s: %w", attr, err)
	}
	return nil
}

// fill writes the content that To stands for.
func (c Change) fill(f io.Writer) error {
	if c.Kind == KindFile {
		_, text, _ := strings.Cut(c.To, "\n")
		_, err := io.WriteString(f, text)
		return err
	}
	source, err := os.Open(c.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	sum, err := hash(source, f)
	if err == nil && !strings.HasSuffix(c.To, " "+sum) {
		err = fmt.Errorf("%s has changed meanwhile", c.Source)
	}
	return err
}

// halfName is what a file or a folder is called until it is whole.
func halfName(name string) string { return "." + name + ".vmhuge" }

// clearHalves removes what a kill has left of what the change was making.
func (c Change) clearHalves(parent int, name string) {
	switch c.Kind {
	case KindFile, KindCopy:
		clearHalf(parent, name)
	case KindMkdir, KindRmdir:
		_ = unix.Unlinkat(parent, halfName(name), unix.AT_REMOVEDIR)
	case KindKernelArgs:
		dir, files, err := c.entriesAt(parent, name)
		if err != nil {
			return // to find them fails as well, and says why
		}
		defer unix.Close(dir)
		for _, f := range files {
			clearHalf(dir, path.Base(f.Path))
		}
	}
}

// clearHalf removes what a kill has left of a file that was being written.
func clearHalf(dir int, name string) {
	for _, at := range []string{"..", "."} {
		if beside, err := openat(dir, at); err == nil {
			_ = unix.Unlinkat(beside, halfName(name), 0)
			unix.Close(beside)
		}
	}
}

// hash returns the sha256 of what is read, and passes it on.
func hash(r io.Reader, w io.Writer) (string, error) {
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

// textOf is the text in the state of a file.
func textOf(state string) string {
	_, text, _ := strings.Cut(state, "\n")
	return text
}
