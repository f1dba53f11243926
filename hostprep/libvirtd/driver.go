package libvirtd

import (
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// Driver is what the QEMU driver that starts a guest knows of the mounts. It
// reads them once, when it starts (virQEMUDriverConfigNew).
type Driver struct {
	Conf QEMUConf
	// Daemon finds the running daemon; nil: none runs, or the guest is not one of the
	// system's. A function, as it is rarely needed.
	Daemon  func() (*Daemon, error)
	Known   []host.Mount // in libvirt's order: the first of a size is used
	Unknown []host.Mount // mounted now, but the running daemon does not know it
	Hidden  []host.Mount // something is mounted over it
}

// MountFor returns the mount that libvirt uses for a size, nil for none.
func (d Driver) MountFor(size pages.Size) *host.Mount {
	for i := range d.Known {
		if d.Known[i].Size == size {
			return &d.Known[i]
		}
	}
	return nil
}

// DefaultPageSize is the size of a page that libvirt gives to a domain which
// asks for <hugepages/> and names none. path is the driver's qemu.conf, "" the
// system driver's.
//
// With hugetlbfs_mount set it is the second entry's, or the only one's:
// virQEMUDriverConfigLoadMemoryEntry() marks every entry but the first as the
// default, and the first marked counts. Otherwise it is the kernel's default
// size where that is mounted, else the first mount's.
func DefaultPageSize(h host.Host, path string) (pages.Size, error) {
	conf, err := ReadQEMUConf(h, path)
	if err != nil {
		return 0, err
	}
	mounts, _, err := DriverMounts(h, conf)
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

// DriverMounts returns what a driver with this configuration uses when it
// starts: the entries of hugetlbfs_mount, each with the mount that it is on, or else every
// mounted hugetlbfs. Mounts that something else is mounted over are returned separately;
// entries that are not on a hugetlbfs are left out.
func DriverMounts(h host.Host, conf QEMUConf) (used, hidden []host.Mount, err error) {
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
		m, ok, err := h.MountOf(path)
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

// SystemBase is where the system driver has its guests' folders on each mount.
const SystemBase = "libvirt/qemu"
