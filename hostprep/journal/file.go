package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/selinux"
)

var file = kind{
	set: func(h host.Host, c change.Change, parent int, name string) error {
		return setFile(h, c, parent, name, func(f io.Writer) error {
			_, err := io.WriteString(f, change.TextOf(c.To))
			return err
		})
	},
	clear: func(_ change.Change, parent int, name string) error { return clearHalf(parent, name) },
}

// setFile removes a file, or puts one in its place that has the mode and owner of To and
// what fill writes: whole or not at all. It is written in the folder above: some
// programs, as libvirt with its hooks, would run a half-written file in the folder itself.
// On the root of a mount that is not possible, and it is written in the folder itself.
func setFile(h host.Host, c change.Change, parent int, name string, fill func(io.Writer) error) error {
	if c.To == "" {
		return unix.Unlinkat(parent, name, 0)
	}
	var err error
	for _, at := range []string{"..", "."} {
		err = onFolder(parent, at, func(beside int) error { return writeFrom(h, c, beside, parent, name, fill) })
		if !errors.Is(err, unix.EXDEV) {
			return err
		}
	}
	return err
}

// writeFrom writes the file in the folder beside and moves it to parent.
func writeFrom(h host.Host, c change.Change, beside, parent int, name string, fill func(io.Writer) error) (err error) {
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
	if err := fill(f); err != nil {
		return err
	}
	// The owner first, as chown clears the setuid bits; the mode last, as an access
	// list sets one, too.
	if err := errors.Join(f.Chown(uid, gid), setXattrs(h, c.Path, parent, name, fd), unix.Fchmod(fd, mode), f.Sync()); err != nil {
		return err
	}
	if err := unix.Renameat(beside, half, parent, name); err != nil {
		return err
	}
	return unix.Fsync(parent)
}

// setXattrs gives a file the extended attributes of the one that it replaces:
// SELinux's label, access lists, and what else there may be. A new file gets the label that
// SELinux's rules have for its path, or else its folder's, which it would have, had it been
// written there. On a file system without attributes there is nothing to copy.
func setXattrs(h host.Host, path string, parent int, name string, to int) error {
	from, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		if labelled, err := setLabel(h, path, unix.S_IFREG, to); labelled || err != nil {
			return err
		}
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

// setLabel gives an open file the label that SELinux's rules have for its path; false: they
// have none. The rules are the policy's own: a label that the kernel does not know is a fault.
func setLabel(h host.Host, path string, kind uint32, to int) (bool, error) {
	label, err := selinux.Label(h, path, kind)
	if err != nil || label == "" {
		return false, err
	}
	err = unix.Fsetxattr(to, "security.selinux", append([]byte(label), 0), 0)
	if errors.Is(err, unix.ENOTSUP) {
		return false, nil
	}
	if err != nil {
		err = fmt.Errorf("setting the label %s: %w", label, err)
	}
	return err == nil, err
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

// halfName is the name of a file, folder or link until it is whole.
func halfName(name string) string { return "." + name + ".vmhuge" }

// clearHalf removes what a kill has left of a file that was being written.
func clearHalf(dir int, name string) error {
	var err error
	for _, at := range []string{"..", "."} {
		err = errors.Join(err, onFolder(dir, at, func(beside int) error { return remove(beside, halfName(name), 0) }))
	}
	return err
}
