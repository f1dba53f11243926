package check

import (
	"fmt"
	"path"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// What QEMU needs beside the guest's RAM, measured with an idle guest and hardly any
// devices: it starts in no less than qemuLeast, and had qemuOwn at most.
const (
	qemuLeast = 16 * pages.MiB
	qemuOwn   = 40 * pages.MiB
)

// MemoryCgroup asks whether memory limits leave room for the guest's huge pages, on a
// host whose cgroup2 counts huge pages as memory. Where it does not, memory limits do not
// affect them. <hard_limit> becomes memory.max of the guest's own cgroup, <soft_limit> its
// memory.high.
var MemoryCgroup = Check{"memory-cgroup", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	var huge int64
	for _, total := range g.Demand.Totals() {
		huge += max(0, total.Pages) * int64(total.PageSize)
	}
	counts, err := h.CountsHugetlb()
	if err != nil || huge == 0 || !counts {
		return nil, err
	}
	_, ordinary := g.Demand.Committed()
	need := huge + ordinary
	const counted = ", and this host counts huge pages as memory (cgroup2 is mounted with memory_hugetlb_accounting)"
	find := func(limit int64, have, do string) []hostprep.Finding {
		f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.MemoryLimit, Have: have + counted, Do: do,
			Need: fmt.Sprintf("more than the %s of the guest, for QEMU needs memory of its own: at the limit the start fails, or the kernel kills the guest", pages.FormatBytes(need))}
		switch {
		case limit >= need+qemuOwn:
			return nil
		case limit >= need+qemuLeast: // a small QEMU is content with it
			f.Severity, f.Verdict = hostprep.Warning, hostprep.Unknown
		}
		return []hostprep.Finding{f}
	}
	// Above memory.high the kernel lets QEMU wait up to 2 s for each page.
	slow := func(limit int64, have, do string) []hostprep.Finding {
		if limit >= need+qemuOwn {
			return nil
		}
		return []hostprep.Finding{{Severity: hostprep.Warning, Have: have + counted, Do: do,
			Need: fmt.Sprintf("more than the %s of the guest: beyond it the kernel slows QEMU down, and a start can take minutes", pages.FormatBytes(need))}}
	}
	var findings []hostprep.Finding
	if limit := g.Traits.LimitKiB * pages.KiB; limit > 0 && !g.Session {
		findings = find(limit, "its <hard_limit> is "+pages.FormatBytes(limit),
			fmt.Sprintf("virsh memtune --config --hard-limit %d %s, or take <hard_limit> out (virsh edit)", (need+need/8+2*pages.GiB)/pages.KiB, shell.Operand(g.Demand.Domain)))
	}
	if limit := g.Traits.SoftLimitKiB * pages.KiB; limit > 0 && !g.Session {
		findings = append(findings, slow(limit, "its <soft_limit> is "+pages.FormatBytes(limit), "take <soft_limit> out (virsh edit), or raise it")...)
	}
	if g.Session {
		return findings, nil
	}
	above, err := libvirtd.CgroupsAbove(h, g.Demand.Partition)
	for _, c := range above {
		for _, kind := range []struct {
			file, property string
			find           func(left int64, have, do string) []hostprep.Finding
		}{{"memory.max", "MemoryMax", find}, {"memory.high", "MemoryHigh", slow}} {
			file := path.Join(c.Dir, kind.file)
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
			findings = append(findings, kind.find(limit-used, fmt.Sprintf("%s leaves %s", file, pages.Amount(max(0, limit-used))),
				fmt.Sprintf("echo max > %s, and for good: systemctl set-property %s %s=infinity", file, path.Base(c.Dir), kind.property))...)
		}
	}
	return findings, err
}}
