package check

import (
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// Cgroup asks whether the cgroups above the guest's let it have its pages.
// A limit of what is reserved fails the mapping (ENOMEM), one of what is in use
// the first touch (SIGBUS): Documentation/admin-guide/cgroup-v2.rst, HugeTLB.
var Cgroup = Check{"cgroup", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	totals := g.Demand.Totals()
	if len(totals) == 0 || g.Session {
		return nil, nil
	}
	above, err := libvirtd.CgroupsAbove(h, g.Demand.Partition)
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, c := range above {
		for _, total := range totals {
			limits, err := c.HugetlbLimits(h, total.PageSize)
			for _, l := range limits {
				if total.Pages*int64(total.PageSize) > l.Max-l.Used {
					findings = append(findings, overLimit(l, total))
				}
			}
			if err != nil {
				return findings, err
			}
		}
	}
	return findings, nil
}}

// overLimit is the finding of a limit that leaves too little.
func overLimit(l libvirtd.HugetlbLimit, need pages.Total) hostprep.Finding {
	cause := hostprep.CgroupUsed
	if l.Reserved {
		cause = hostprep.CgroupReserved
	}
	return hostprep.Finding{
		Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: cause,
		Have: fmt.Sprintf("%s leaves %s", l.File, pages.Count(max(0, l.Max-l.Used)/int64(need.PageSize), need.PageSize)),
		Need: pages.Count(need.Pages, need.PageSize),
		Do:   fmt.Sprintf("echo %s > %s, or echo %d > it", l.None, shell.Quote(l.File), l.Used+need.Pages*int64(need.PageSize)),
	}
}
