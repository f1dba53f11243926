package journal

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// mount mounts by way of the open folder, so that nobody can put another in its place.
var mount = kind{
	set: func(h host.Host, c change.Change, parent int, name string) error {
		if !h.Real() {
			return errors.New("mount changes only the running system")
		}
		if c.To == "" {
			return unix.Unmount(fmt.Sprintf("/proc/self/fd/%d/%s", parent, name), unix.UMOUNT_NOFOLLOW)
		}
		return onFolder(parent, name, func(dir int) error {
			return unix.Mount("hugetlbfs", fmt.Sprintf("/proc/self/fd/%d", dir), "hugetlbfs", unix.MS_NOSUID|unix.MS_NODEV, c.To)
		})
	},
}
