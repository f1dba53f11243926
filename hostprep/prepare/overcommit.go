package prepare

import (
	"fmt"
	"strconv"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// overcommitStep lets the kernel allocate what the pools lack for the guests when these start:
// until undo or the next boot, whose number bootStep keeps.
var overcommitStep = Step{"overcommit", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	if !p.Overcommit {
		return nil, nil
	}
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	reserved := p
	reserved.Overcommit = false
	lacks, err := reserved.lacks(h, state)
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, g := range state.Globals {
		var n int64
		for _, l := range lacks {
			if l.Size == g.Size {
				n += l.Pages
			}
		}
		if n == 0 || g.Surplus+n <= g.Overcommit {
			continue
		}
		f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.NoMemory, Need: pages.Count(n, g.Size) + " for the guests",
			Have: fmt.Sprintf("at a start the kernel may allocate %s", pages.Count(max(0, g.Overcommit-g.Surplus), g.Size))}
		if gigantic, err := h.Gigantic(g.Size); err != nil {
			return findings, err
		} else if gigantic {
			f.Have += ", and before Linux 6.19 none of that size"
		}
		f.Fix(change.Change{Kind: change.KindSysfs, Path: fmt.Sprintf("/sys/kernel/mm/hugepages/hugepages-%dkB/nr_overcommit_hugepages", g.Size.KiB()),
			From: strconv.FormatInt(g.Overcommit, 10), To: strconv.FormatInt(g.Surplus+n, 10), EachBoot: p.Persist})
		findings = append(findings, f)
	}
	return findings, nil
}}
