package check

import (
	"fmt"
	"path"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// qemuOwn is the least memory that QEMU needs beside the guest's RAM: with an idle guest
// and hardly any devices it uses about 40 MiB.
const qemuOwn = 40 * pages.MiB

// MemoryCgroup asks whether memory limits leave room for the guest's huge pages, on a
// host whose cgroup2 counts huge pages as memory: one that is mounted with
// memory_hugetlb_accounting (Linux 6.6). Without that option, memory limits do not affect
// huge pages. <hard_limit> becomes memory.max of the guest's own cgroup.
var MemoryCgroup = Check{"memory-cgroup", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	var huge int64
	for _, total := range g.Demand.Totals() {
		huge += max(0, total.Pages) * int64(total.PageSize)
	}
	counts, err := CountsHugetlb(h)
	if err != nil || huge == 0 || !counts {
		return nil, err
	}
	_, ordinary := committed(g.Demand)
	need := huge + ordinary
	find := func(limit int64, have, do string) []hostprep.Finding {
		if limit >= need+qemuOwn {
			return nil
		}
		return []hostprep.Finding{{Severity: hostprep.Blocker, Verdict: hostprep.BadHost,
			Have: have + ", and this host counts huge pages as memory (cgroup2 is mounted with memory_hugetlb_accounting)",
			Need: fmt.Sprintf("more than the %s of the guest, for QEMU needs memory of its own: at the limit the start fails, or the kernel kills the guest", pages.FormatBytes(need)), Do: do}}
	}
	var findings []hostprep.Finding
	if limit := g.Traits.LimitKiB * pages.KiB; limit > 0 && !g.Session {
		findings = find(limit, "its <hard_limit> is "+pages.FormatBytes(limit),
			fmt.Sprintf("virsh memtune --config --hard-limit %d %s, or take <hard_limit> out (virsh edit)", (need+need/8+2*pages.GiB)/pages.KiB, shell.Operand(g.Demand.Domain)))
	}
	if g.Session {
		return findings, nil
	}
	above, err := libvirtd.CgroupsAbove(h, g.Demand.Partition)
	for _, c := range above {
		file := path.Join(c.Dir, "memory.max")
		limit, limited, err := libvirtd.ReadLimit(h, file)
		if err != nil {
			return findings, err
		}
		if !limited {
			continue
		}
		used, _, err := libvirtd.ReadLimit(h, path.Join(c.Dir, "memory.current"))
		if err != nil {
			return findings, err
		}
		findings = append(findings, find(limit-used, fmt.Sprintf("%s leaves %s", file, pages.Amount(max(0, limit-used))),
			fmt.Sprintf("echo max > %s, and for good: systemctl set-property %s MemoryMax=infinity", file, path.Base(c.Dir)))...)
	}
	return findings, err
}}

// CountsHugetlb says whether cgroup2 is mounted so that it counts huge pages as memory.
func CountsHugetlb(h host.Host) (bool, error) {
	table, err := h.MountTable()
	return slices.ContainsFunc(table, func(m host.MountLine) bool {
		return m.FsType == "cgroup2" && m.Options.Has("memory_hugetlb_accounting")
	}), err
}
