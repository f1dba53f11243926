package journal

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

var sysfs = kind{
	set: func(_ host.Host, c change.Change, parent int, name string) error {
		err := writeSysfs(parent, name, c.To)
		if err != nil { // the kernel may have taken something else
			_ = writeSysfs(parent, name, c.From)
		}
		return err
	},
}

// writeSysfs writes a value, and reads it back: the kernel accepts some values
// without an error and then does not use them.
func writeSysfs(parent int, name, value string) error {
	f, err := change.OpenSysfs(parent, name, unix.O_WRONLY|unix.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if now, err := change.ReadSysfs(parent, name); err != nil || now != value {
		return errors.Join(err, fmt.Errorf("the kernel did not take it: it is %q now", now))
	}
	return nil
}
