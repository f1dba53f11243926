package hostprep

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// mkdir makes a folder with mode and owner, such as 0755 0:0. It has another name
// until it has both: after a kill one of that name is ours, and unused.
func mkdir(parent int, name, want string) (err error) {
	mode, uid, gid, err := parseOwner(want)
	if err != nil {
		return err
	}
	half := halfName(name)
	if err := unix.Mkdirat(parent, half, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = unix.Unlinkat(parent, half, unix.AT_REMOVEDIR)
		}
	}()
	dir, err := openat(parent, half)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := unix.Fchown(dir, uid, gid); err != nil {
		return err
	}
	if err := unix.Fchmod(dir, mode); err != nil {
		return err
	}
	err = unix.Renameat2(parent, half, parent, name, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) {
		// A file system without the flag, as 9p; a folder with something in it is
		// not replaced there either.
		err = unix.Renameat(parent, half, parent, name)
	}
	return err
}

// rmdir removes a folder, and with it those that libvirt has made there and
// that are empty: of a user's own on a hugetlbfs, which nobody else clears.
func rmdir(parent int, name string) error {
	err := unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
	if !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	for _, below := range []string{"libvirt/qemu", "libvirt"} {
		dir, openErr := openat(parent, name)
		if openErr != nil {
			return err
		}
		if above, last, ok := strings.Cut(below, "/"); ok {
			inner, openErr := openat(dir, above)
			unix.Close(dir)
			if openErr != nil {
				return err
			}
			dir, below = inner, last
		}
		_ = unix.Unlinkat(dir, below, unix.AT_REMOVEDIR)
		unix.Close(dir)
	}
	return unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
}
