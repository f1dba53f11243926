package hostprep

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"vmhuge/internal/pages"
)

// driver is what the QEMU driver that starts a guest knows of the mounts. It
// reads them once, when it starts (virQEMUDriverConfigNew).
type driver struct {
	conf QEMUConf
	// daemon finds the one that runs; nil: none does, or the guest's is not the
	// system's. It is seldom asked for.
	daemon  func() (*Daemon, error)
	known   []Mount // in libvirt's order: the first of a size is used
	unknown []Mount // mounted now, but the running daemon does not know it
	hidden  []Mount // something is mounted over it
}

// mountFor returns the mount that libvirt uses for a size, nil for none.
func (d driver) mountFor(size pages.Size) *Mount {
	for i := range d.known {
		if d.known[i].Size == size {
			return &d.known[i]
		}
	}
	return nil
}

// driver finds what the driver that starts the guest knows.
func (h Host) driver(g Guest) (driver, error) {
	return once(h, fmt.Sprintf("driver %+v %v", g.Starter, g.KnownSizes), func() (driver, error) { return h.readDriver(g) })
}

func (h Host) readDriver(g Guest) (driver, error) {
	d := driver{daemon: func() (*Daemon, error) { return nil, nil }}
	var err error
	if d.conf, err = h.QEMUConf(g.Conf); err != nil {
		return d, err
	}
	if g.Session && d.conf.HugetlbfsMounts == nil {
		return d, nil // an unprivileged driver does not look for mounts
	}
	used, hidden, err := h.driverMounts(d.conf)
	if err != nil {
		return d, err
	}
	d.hidden = hidden
	if g.system() {
		d.daemon = sync.OnceValues(func() (*Daemon, error) { return h.Daemon() })
	}
	for _, m := range used {
		known, err := h.knows(g, d, m)
		if err != nil {
			return d, err
		}
		if known {
			d.known = append(d.known, m)
		} else {
			d.unknown = append(d.unknown, m)
		}
	}
	return d, nil
}

// system says that the daemon which has its pid in /run/libvirt starts the
// guest; an embedded driver has other folders, and reads the mounts anew.
func (s Starter) system() bool { return !s.Session && s.BaseDir == "libvirt/qemu" }

// knows says whether the driver knows a mount that is there now.
func (h Host) knows(g Guest, d driver, m Mount) (bool, error) {
	if g.Session {
		return h.userOwns(g.Starter, m)
	}
	if slices.Contains(g.KnownSizes, m.Size) {
		return true, nil
	}
	// The driver makes its folder on each mount when it starts.
	base, err := h.lstat(path.Join(m.Point, g.BaseDir))
	if err == nil && base != nil {
		return true, nil
	}
	daemon, daemonErr := d.daemon()
	if daemonErr != nil {
		return false, daemonErr
	}
	if daemon == nil {
		return true, nil // it reads the mounts when it starts
	}
	if err != nil {
		return false, err
	}
	// A mount of qemu.conf is the driver's whatever was mounted there since.
	looked := m.Point
	if d.conf.HugetlbfsMounts != nil {
		looked = cmp.Or(g.Conf, qemuConfPath)
	}
	st, err := h.lstat(looked)
	return st != nil && st.Ctim.Nano() < daemon.Started.UnixNano(), err
}

// userOwns says whether the user of a session may make folders on a mount.
func (h Host) userOwns(by Starter, m Mount) (bool, error) {
	user, err := h.runsAs(by)
	if err != nil {
		return false, err
	}
	dir := m.Point
	at, err := h.lstat(dir)
	for _, name := range strings.Split(by.BaseDir, "/") {
		if err != nil || at == nil {
			return false, err
		}
		dir = path.Join(dir, name)
		st, err := h.lstat(dir)
		if err != nil {
			return false, err
		}
		if st == nil {
			break
		}
		at = st
	}
	return missing(user, at, mayWrite|maySearch) == 0, nil
}

// usedMounts returns the mounts on which the guest's files will lie.
func (h Host) usedMounts(g Guest) ([]Mount, error) {
	sizes := fileSizes(g)
	if len(sizes) == 0 {
		return nil, nil
	}
	d, err := h.driver(g)
	var used []Mount
	for _, size := range sizes {
		if m := d.mountFor(size); m != nil {
			used = append(used, *m)
		}
	}
	return used, err
}

// DefaultPageSize is the size of a page that libvirt gives to a domain which
// asks for <hugepages/> and names none. path is the driver's qemu.conf, "" the
// system driver's.
//
// With hugetlbfs_mount set it is the second entry's, or the only one's:
// virQEMUDriverConfigLoadMemoryEntry() marks every entry but the first as the
// default, and the first marked counts. Otherwise it is the kernel's default
// size where that is mounted, else the first mount's.
func (h Host) DefaultPageSize(path string) (pages.Size, error) {
	conf, err := h.QEMUConf(path)
	if err != nil {
		return 0, err
	}
	mounts, _, err := h.driverMounts(conf)
	if err != nil {
		return 0, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return 0, err
	}
	switch {
	case len(mounts) == 0:
		// libvirt refuses to start such a guest; once it can, this is the size.
		return mem.HugePageSize, nil
	case conf.HugetlbfsMounts != nil && len(mounts) > 1:
		return mounts[1].Size, nil
	case conf.HugetlbfsMounts == nil:
		for _, m := range mounts {
			if m.Size == mem.HugePageSize {
				return m.Size, nil
			}
		}
	}
	return mounts[0].Size, nil
}

// driverMounts returns what a driver with this configuration uses when it
// starts: the entries of hugetlbfs_mount, each with the mount below it, or all
// that is mounted, and of these apart what something else is mounted over.
// Entries that are no hugetlbfs are left out.
func (h Host) driverMounts(conf QEMUConf) (used, hidden []Mount, err error) {
	if conf.HugetlbfsMounts == nil {
		mounts, err := h.Mounts()
		for _, m := range mounts {
			if m.Hidden == "" {
				used = append(used, m)
			} else {
				hidden = append(hidden, m)
			}
		}
		return used, hidden, err
	}
	for _, path := range conf.HugetlbfsMounts {
		m, ok, err := h.mountOf(path)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			m.Point = path // may be a folder of the mount
			used = append(used, m)
		}
	}
	return used, nil, nil
}
