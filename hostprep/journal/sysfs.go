package journal

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
)

// writeSysfs writes a value, and reads it back: the kernel takes values that it
// then does not have.
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
		return errors.Join(err, fmt.Errorf("it is %q after it was written", now))
	}
	return nil
}
