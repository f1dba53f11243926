package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// writeFile puts what To says in the place of name, whole or not at all. It is
// written in the folder above: in some folders, as in libvirt's of hooks, a
// half-written file would be run. From above a mount no file can be moved into
// it; then it is written where it goes.
func writeFile(c change.Change, parent int, name string) (err error) {
	for _, at := range []string{"..", "."} {
		var beside int
		beside, err = host.Openat(parent, at)
		if err != nil {
			return err
		}
		err = writeFrom(c, beside, parent, name)
		unix.Close(beside)
		if !errors.Is(err, unix.EXDEV) {
			return err
		}
	}
	return err
}

// writeFrom is writeFile by way of another folder.
func writeFrom(c change.Change, beside, parent int, name string) (err error) {
	mode, uid, gid, err := change.ParseOwner(c.To)
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
	if err := fill(c, f); err != nil {
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
func fill(c change.Change, f io.Writer) error {
	if c.Kind == change.KindFile {
		_, text, _ := strings.Cut(c.To, "\n")
		_, err := io.WriteString(f, text)
		return err
	}
	source, err := os.Open(c.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	sum, err := change.Hash(source, f)
	if err == nil && !strings.HasSuffix(c.To, " "+sum) {
		err = fmt.Errorf("%s has changed meanwhile", c.Source)
	}
	return err
}

// halfName is what a file or a folder is called until it is whole.
func halfName(name string) string { return "." + name + ".vmhuge" }

// clearHalves removes what a kill has left of what the change was making.
func clearHalves(c change.Change, parent int, name string) {
	switch c.Kind {
	case change.KindFile, change.KindCopy:
		clearHalf(parent, name)
	case change.KindMkdir, change.KindRmdir:
		_ = unix.Unlinkat(parent, halfName(name), unix.AT_REMOVEDIR)
	case change.KindKernelArgs:
		dir, files, err := c.EntriesAt(parent, name)
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
		if beside, err := host.Openat(dir, at); err == nil {
			_ = unix.Unlinkat(beside, halfName(name), 0)
			unix.Close(beside)
		}
	}
}
