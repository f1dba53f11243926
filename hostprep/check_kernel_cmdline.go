package hostprep

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"vmhuge/internal/pages"
)

// cmdlinePages asks whether the pages that the kernel was asked for when it
// booted are there, and on the nodes that were named. A kernel that lacks memory
// on a node says nothing: 6.1 and 6.12 take the pages from another one.
func (h Host) cmdlinePages() ([]Finding, error) {
	k, err := h.bootKernel()
	if err != nil {
		return nil, err
	}
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	nodes, err := h.Nodes()
	if err != nil {
		return nil, err
	}
	// Also sizes that the kernel then did not have.
	asked := parseKernelCmdline(k.cmdline, k.standard, func(size pages.Size) bool { return size > 0 })
	var findings []Finding
	for _, p := range slices.SortedFunc(maps.Keys(asked.Pages), func(a, b bootPool) int {
		return cmp.Or(cmp.Compare(a.size, b.size), a.node-b.node)
	}) {
		all, _ := state.Global(p.size)
		there, where := all.Total, ""
		if p.node >= 0 {
			on, _ := state.Pool(p.node, p.size)
			there, where = on.Total, fmt.Sprintf(" on node %d", p.node)
		}
		want := asked.Pages[p]
		if there >= want {
			continue
		}
		f := Finding{Severity: Warning,
			Have: fmt.Sprintf("the kernel's command line asks for %s%s, and there are %d", count(want, p.size), where, there),
			Need: fmt.Sprintf("all of them: %d more%s", want-there, where),
			Do:   "dmesg | grep -i hugetlb tells what the kernel lacked at boot; ask for fewer, or vmhuge prepare to add them now"}
		for _, n := range nodes {
			if on, _ := state.Pool(n.ID, p.size); p.node >= 0 && on.Total > asked.Pages[bootPool{p.size, n.ID}] {
				f.Have += fmt.Sprintf("; node %d has %d more than were asked for", n.ID, on.Total-asked.Pages[bootPool{p.size, n.ID}])
			}
			if n.ID == p.node || p.node < 0 && len(nodes) == 1 {
				f.Have += fmt.Sprintf("; node %d has %s of memory in all", n.ID, amount(n.Total))
			}
		}
		findings = append(findings, f)
	}
	return findings, nil
}
