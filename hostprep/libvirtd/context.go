package libvirtd

import (
	"path"
	"strconv"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/selinux"
)

// Context is the context of libvirt's daemon under SELinux, or that which it would have, started by
// process 1. "": its program is not where packages put it.
func Context(h host.Host) (string, error) {
	d, err := ReadDaemon(h)
	if err != nil {
		return "", err
	}
	if d != nil {
		return selinux.Process(h, strconv.Itoa(d.PID))
	}
	init, err := selinux.Process(h, "1")
	if err != nil || init == "" {
		return "", err
	}
	for _, dir := range ProgramDirs {
		program, err := selinux.File(h, h.Resolve(path.Join(dir, Name(h))))
		if err != nil {
			return "", err
		}
		if program != "" {
			return selinux.Domain(h, init, program)
		}
	}
	return "", nil
}
