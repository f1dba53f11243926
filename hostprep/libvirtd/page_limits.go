package libvirtd

import (
	"fmt"
	"slices"

	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// PageLimit is what guests of the system driver may still have of one page size, whatever the
// pools have.
type PageLimit struct {
	Where string // a mount, or a cgroup's file
	Size  pages.Size
	Left  int64 // bytes, for all of them together
	Files bool  // it holds for files, and not for memfd
}

// Words say how much is left where guests have taken some bytes of it.
func (l PageLimit) Words(taken int64) string {
	return fmt.Sprintf("%s leaves %s", l.Where, pages.Count(max(0, l.Left-taken)/int64(l.Size), l.Size))
}

// Of is how many bytes of it a guest takes.
func (l PageLimit) Of(d pages.Demand) (bytes int64) {
	for _, item := range d.Items {
		if item.PageSize == l.Size && (!l.Files || item.Source != "memfd") {
			bytes += max(0, item.Pages) * int64(l.Size)
		}
	}
	return bytes
}

// PageLimits lists such limits: the size of the mounts that a driver with this configuration
// uses, and the limits of the cgroups above a guest with this <partition>.
func PageLimits(h host.Host, conf QEMUConf, partition string) (limits []PageLimit, err error) {
	mounts, _, err := DriverMounts(h, conf)
	if err != nil {
		return nil, err
	}
	var used []pages.Size
	for _, m := range mounts {
		if slices.Contains(used, m.Size) {
			continue // libvirt uses the first of a size
		}
		used = append(used, m.Size)
		if free, limited := h.FreeOn(m); limited {
			limits = append(limits, PageLimit{fmt.Sprintf("%s, mounted with size=%d,", m.Point, m.SizeLimit), m.Size, free, true})
		}
	}
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	above, err := CgroupsAbove(h, partition)
	if err != nil {
		return nil, err
	}
	for _, c := range above {
		for _, size := range state.Sizes() {
			of, err := c.HugetlbLimits(h, size)
			if err != nil {
				return nil, err
			}
			for _, l := range of {
				limits = append(limits, PageLimit{l.File, size, l.Max - l.Used, false})
			}
		}
	}
	return limits, nil
}

// NoDriver says why a driver with this configuration, from this file, does not start; "": it may.
//
// Source: virQEMUDriverConfigHugeTLBFSInit() of libvirt, which looks for a hugetlbfs at every
// entry. Seen with libvirt 9.0.
func (c QEMUConf) NoDriver(file string) string {
	if slices.Contains(c.HugetlbfsMounts, "") {
		return fmt.Sprintf(`hugetlbfs_mount = "" in %s keeps libvirt from starting its QEMU driver`, file)
	}
	return ""
}
