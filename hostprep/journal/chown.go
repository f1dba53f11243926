package journal

import (
	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

var chown = kind{
	set: func(_ host.Host, c change.Change, parent int, name string) error {
		return onFolder(parent, name, func(dir int) error {
			_, uid, gid, err := change.ParseOwner("0 " + c.To)
			if err != nil {
				return err
			}
			return unix.Fchown(dir, uid, gid)
		})
	},
}
