package journal

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// Undo takes the change back.
func Undo(h host.Host, c change.Change) error { return Apply(h, c.Reverse()) }

// foreignError is the error of a change that did not find what it is to
// change: somebody else has been there.
type foreignError struct {
	change change.Change
	found  string
}

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s: it is %s now, not %s", e.change.Path, pages.OrNothing(e.found), pages.OrNothing(e.change.From))
}

// Apply makes the change if it finds From. Symbolic links are never followed:
// the folders below a hugetlbfs may be other users' to write.
func Apply(h host.Host, c change.Change) error {
	dir, name := path.Split(path.Clean(c.Path))
	parent, err := h.OpenDir(dir)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	clearHalves(c, parent, name)
	now, err := c.Find(h, parent, name)
	if err == nil && now != c.From && (c.Kind != change.KindChmod || !opened(h, c, now)) {
		return &foreignError{c, now}
	}
	if err == nil {
		err = set(h, c, parent, name)
	}
	if err != nil {
		return advice.Wrap(err, c.String(), wayOut(c, err, parent, name))
	}
	return nil
}

// opened says that libvirt alone has changed the mode of a mount's root since.
func opened(h host.Host, c change.Change, now string) bool {
	from, err1 := strconv.ParseUint(c.From, 8, 12)
	is, err2 := strconv.ParseUint(now, 8, 12)
	if err1 != nil || err2 != nil || is != from|change.Searchable {
		return false
	}
	m, ok, err := h.MountOf(c.Path)
	return err == nil && ok && m.Point == path.Clean(c.Path)
}

// set makes what is there what To says.
func set(h host.Host, c change.Change, parent int, name string) error {
	switch c.Kind {
	case change.KindChmod:
		dir, err := host.Openat(parent, name)
		if err != nil {
			return err
		}
		defer unix.Close(dir)
		mode, err := strconv.ParseUint(c.To, 8, 12)
		if err != nil {
			return err
		}
		return unix.Fchmod(dir, uint32(mode))

	case change.KindChown:
		dir, err := host.Openat(parent, name)
		if err != nil {
			return err
		}
		defer unix.Close(dir)
		_, uid, gid, err := change.ParseOwner("0 " + c.To)
		if err != nil {
			return err
		}
		return unix.Fchown(dir, uid, gid)

	case change.KindLink:
		if c.To == "" {
			return unix.Unlinkat(parent, name, 0)
		}
		return unix.Symlinkat(c.To, parent, name)

	case change.KindMkdir, change.KindRmdir:
		if c.To == "" {
			return rmdir(parent, name)
		}
		return mkdir(parent, name, c.To)

	case change.KindMount:
		// By way of the open folder, so that no other can take its place.
		at := fmt.Sprintf("/proc/self/fd/%d/%s", parent, name)
		if c.To == "" {
			return unix.Unmount(at, unix.UMOUNT_NOFOLLOW)
		}
		dir, err := host.Openat(parent, name)
		if err != nil {
			return err
		}
		defer unix.Close(dir)
		return unix.Mount("hugetlbfs", fmt.Sprintf("/proc/self/fd/%d", dir), "hugetlbfs", unix.MS_NOSUID|unix.MS_NODEV, c.To)

	case change.KindFile, change.KindCopy:
		if c.To == "" {
			return unix.Unlinkat(parent, name, 0)
		}
		return writeFile(c, parent, name)

	case change.KindKernelArgs:
		return setArgs(c, parent, name)

	case change.KindSysfs:
		return writeSysfs(parent, name, c.To)

	case change.KindMember:
		return setMember(h, c)

	case change.KindPool:
		return errors.New("pages are added by the ledger alone")
	}
	return fmt.Errorf("unknown kind of change")
}

// mkdir makes a folder with mode and owner, such as 0755 0:0. It has another name
// until it has both: after a kill one of that name is ours, and unused.
func mkdir(parent int, name, want string) (err error) {
	mode, uid, gid, err := change.ParseOwner(want)
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
