package journal

import (
	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

var link = kind{
	set: func(_ host.Host, c change.Change, parent int, name string) error {
		switch {
		case c.To == "":
			return unix.Unlinkat(parent, name, 0)
		case c.From == "":
			return unix.Symlinkat(c.To, parent, name)
		}
		// The kernel changes no link: a new one takes the old one's place.
		half := halfName(name)
		if err := unix.Symlinkat(c.To, parent, half); err != nil {
			return err
		}
		err := unix.Renameat(parent, half, parent, name)
		if err != nil {
			_ = unix.Unlinkat(parent, half, 0)
		}
		return err
	},
	clear: func(_ change.Change, parent int, name string) error { return remove(parent, halfName(name), 0) },
}
