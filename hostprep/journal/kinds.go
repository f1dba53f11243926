package journal

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// kind is how the changes of one change.Kind are made, in a file of its own. parent is
// the open folder of the change's Path, name the last part of that: a path could be
// swapped for another between two looks at it.
type kind struct {
	// set makes what is there what To says. From has been found before.
	set func(h host.Host, c change.Change, parent int, name string) error
	// clear removes what a kill has left of a change that was being made; nil: that
	// leaves nothing.
	clear func(c change.Change, parent int, name string) error
	// accepts says whether the change may be made though not From was found but now;
	// nil: never.
	accepts func(h host.Host, c change.Change, now string) bool
}

// kinds has how each kind that change knows is made.
var kinds = map[change.Kind]kind{
	change.KindChmod:      chmod,
	change.KindChown:      chown,
	change.KindMkdir:      folder,
	change.KindRmdir:      folder,
	change.KindMount:      mount,
	change.KindFile:       file,
	change.KindCopy:       program,
	change.KindLink:       link,
	change.KindSysfs:      sysfs,
	change.KindMember:     member,
	change.KindKernelArgs: kernelArgs,
}

// kindOf returns how a change is made. change.KindPool has no way here: pools are the
// ledger's.
func kindOf(c change.Change) (kind, error) {
	k, ok := kinds[c.Kind]
	if !ok {
		return k, fmt.Errorf("%s: a journal makes no change of the kind %q", c.Path, c.Kind)
	}
	return k, nil
}

// remove removes what may not be there. flags are those of unlinkat.
func remove(dir int, name string, flags int) error {
	err := unix.Unlinkat(dir, name, flags)
	// A read-only file system refuses before it looks.
	if err != nil && errors.Is(unix.Fstatat(dir, name, &unix.Stat_t{}, unix.AT_SYMLINK_NOFOLLOW), unix.ENOENT) {
		return nil
	}
	return err
}

// onFolder does something with the open folder of a change's Path.
func onFolder(parent int, name string, do func(dir int) error) error {
	dir, err := host.Openat(parent, name)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return do(dir)
}
