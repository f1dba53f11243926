package journal

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// folder makes folders and removes them.
var folder = kind{
	set: func(h host.Host, c change.Change, parent int, name string) error {
		if c.To == "" {
			return rmdir(parent, name)
		}
		return mkdir(h, c, parent, name)
	},
	clear: func(_ change.Change, parent int, name string) error {
		return remove(parent, halfName(name), unix.AT_REMOVEDIR)
	},
}

// mkdir makes a folder with the mode and owner of To, such as 0755 0:0, and SELinux's label.
// It has another name until it has all, so that a kill leaves no folder with other rights than
// were asked for.
func mkdir(h host.Host, c change.Change, parent int, name string) (err error) {
	mode, uid, gid, err := change.ParseOwner(c.To)
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
	dir, err := host.Openat(parent, half)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	// The owner of the folder that it is in may have put another in its place.
	if err := emptyFolder(dir); err != nil {
		return err
	}
	if _, err := setLabel(h, c.Path, unix.S_IFDIR, dir); err != nil {
		return err
	}
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

// emptyFolder returns ENOTEMPTY if something is in an open folder.
func emptyFolder(dir int) error {
	entries := make([]byte, 4096)
	n, err := unix.ReadDirent(dir, entries)
	if _, _, names := unix.ParseDirent(entries[:max(n, 0)], 1, nil); len(names) > 0 { // . and .. are left out
		return unix.ENOTEMPTY
	}
	return err
}

// rmdir removes a folder. If it is not empty, it first removes the empty folders that
// libvirt makes in a user's folder on a hugetlbfs, and never removes itself.
func rmdir(parent int, name string) error {
	err := unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
	if !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	for _, below := range []string{"libvirt/qemu", "libvirt"} {
		dir, openErr := host.Openat(parent, name)
		if openErr != nil {
			return err
		}
		if above, last, ok := strings.Cut(below, "/"); ok {
			inner, openErr := host.Openat(dir, above)
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
