package journal

import (
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

var chmod = kind{
	set: func(_ host.Host, c change.Change, parent int, name string) error {
		return onFolder(parent, name, func(dir int) error {
			mode, err := strconv.ParseUint(c.To, 8, 12)
			if err != nil {
				return err
			}
			return unix.Fchmod(dir, uint32(mode))
		})
	},
	accepts: opened,
}

// opened says whether the only difference to From are the bits that libvirt adds to the
// root of a mount.
func opened(h host.Host, c change.Change, now string) bool {
	from, err1 := strconv.ParseUint(c.From, 8, 12)
	is, err2 := strconv.ParseUint(now, 8, 12)
	if err1 != nil || err2 != nil || is != from|change.Searchable {
		return false
	}
	m, ok, err := h.MountOf(c.Path)
	return err == nil && ok && m.Point == path.Clean(c.Path)
}
