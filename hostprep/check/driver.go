package check

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
)

// cacheKey is what this package keeps with host.Once.
type cacheKey string

// driverKey is what Driver's answer depends on.
type driverKey struct {
	by    hostprep.Starter
	known string
}

func driverOf(g hostprep.Guest) driverKey {
	key := driverKey{by: g.Starter}
	if len(g.KnownSizes) > 0 {
		key.known = fmt.Sprint(g.KnownSizes)
	}
	return key
}

// Driver finds what the driver that starts the guest knows.
func Driver(h host.Host, g hostprep.Guest) (libvirtd.Driver, error) {
	return host.Once(h, driverOf(g), func() (libvirtd.Driver, error) { return readDriver(h, g) })
}

func readDriver(h host.Host, g hostprep.Guest) (libvirtd.Driver, error) {
	d := libvirtd.Driver{Daemon: func() (*libvirtd.Daemon, error) { return nil, nil }}
	var err error
	if d.Conf, err = libvirtd.ReadQEMUConf(h, g.Conf); err != nil {
		return d, err
	}
	if g.Session && d.Conf.HugetlbfsMounts == nil {
		return d, nil // an unprivileged driver does not look for mounts
	}
	used, hidden, err := libvirtd.DriverMounts(h, d.Conf)
	if err != nil {
		return d, err
	}
	d.Hidden = hidden
	if g.System() {
		d.Daemon = sync.OnceValues(func() (*libvirtd.Daemon, error) { return libvirtd.ReadDaemon(h) })
	}
	for _, m := range used {
		known, err := knows(h, g, d, m)
		if err != nil {
			return d, err
		}
		if known {
			d.Known = append(d.Known, m)
		} else {
			d.Unknown = append(d.Unknown, m)
		}
	}
	return d, nil
}

// knows says whether the driver knows a mount that is there now.
func knows(h host.Host, g hostprep.Guest, d libvirtd.Driver, m host.Mount) (bool, error) {
	if g.Session {
		return UserOwns(h, g.Starter, m)
	}
	if slices.Contains(g.KnownSizes, m.Size) {
		return true, nil
	}
	// The driver makes its folder on each mount when it starts.
	base, err := h.Lstat(path.Join(m.Point, g.BaseDir))
	if err == nil && base != nil {
		return true, nil
	}
	daemon, daemonErr := d.Daemon()
	if daemonErr != nil {
		return false, daemonErr
	}
	if daemon == nil {
		return true, nil // it reads the mounts when it starts
	}
	if err != nil {
		return false, err
	}
	// The driver uses a mount named in qemu.conf, whatever was mounted there since.
	looked := m.Point
	if d.Conf.HugetlbfsMounts != nil {
		looked = cmp.Or(g.Conf, libvirtd.QEMUConfPath(h))
	}
	st, err := h.Lstat(looked)
	return st != nil && st.Ctim.Nano() < daemon.Started.UnixNano(), err
}

// UserOwns says whether the user of a session may make folders on a mount.
func UserOwns(h host.Host, by hostprep.Starter, m host.Mount) (bool, error) {
	user, err := RunsAs(h, by)
	if err != nil {
		return false, err
	}
	dir := m.Point
	at, err := h.Lstat(dir)
	for _, name := range strings.Split(by.BaseDir, "/") {
		if err != nil || at == nil {
			return false, err
		}
		dir = path.Join(dir, name)
		st, err := h.Lstat(dir)
		if err != nil {
			return false, err
		}
		if st == nil {
			break
		}
		at = st
	}
	return host.Missing(user, at, host.MayWrite|host.MaySearch) == 0, nil
}

// usedMounts returns the mounts on which the guest's files will lie.
func usedMounts(h host.Host, g hostprep.Guest) ([]host.Mount, error) {
	sizes := hostprep.FileSizes(g)
	if len(sizes) == 0 {
		return nil, nil
	}
	d, err := Driver(h, g)
	var used []host.Mount
	for _, size := range sizes {
		if m := d.MountFor(size); m != nil {
			used = append(used, *m)
		}
	}
	return used, err
}
