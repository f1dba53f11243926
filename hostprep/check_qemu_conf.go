package hostprep

import (
	"cmp"
	"fmt"
)

// qemuConfCheck finds what qemu.conf makes of a domain that names no page size,
// against what one would think: of several entries of hugetlbfs_mount, the
// second is the default.
var qemuConfCheck = Check{"qemu-conf", func(h Host, g Guest) ([]Finding, error) {
	if !g.Demand.DefaultSize || len(g.Demand.Items) == 0 {
		return nil, nil
	}
	conf, err := h.QEMUConf(g.Conf)
	if err != nil || len(conf.HugetlbfsMounts) < 2 {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	size, err := h.DefaultPageSize(g.Conf)
	if err != nil || size == mem.HugePageSize {
		return nil, err
	}
	return []Finding{{
		Severity: Note, Cause: SmallerThanPage,
		Have: fmt.Sprintf("the domain names no page size, and libvirt takes that of the second hugetlbfs_mount in %s, %s", cmp.Or(g.Conf, qemuConfPath), size),
		Need: "a <page> with the size that is meant",
		Do:   "vmhuge enable --size " + sizeWord(mem.HugePageSize),
	}}, nil
}}
