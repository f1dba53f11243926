package change

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// KindSysfs writes a file of sysfs or /proc/sys that has one value, or marks one of
// those it lists: madvise.
const KindSysfs Kind = "sysfs"

var sysfs = kind{
	name: KindSysfs,
	find: func(_ Change, _ host.Host, parent int, name string) (string, error) { return ReadSysfs(parent, name) },
	line: func(c Change) string { return c.toFrom("echo %s > %s") },
}

// ReadSysfs reads the value of a file of sysfs; "": there is none.
func ReadSysfs(parent int, name string) (string, error) {
	f, err := OpenSysfs(parent, name, unix.O_RDONLY)
	if errors.Is(err, unix.ENOENT) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096)) // a file of sysfs is a page at most
	return host.ParseChoice(string(text)), err
}

// OpenSysfs opens a file of sysfs. It never makes one, nor follows a link.
func OpenSysfs(parent int, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(parent, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	return os.NewFile(uintptr(max(fd, 0)), name), err
}
