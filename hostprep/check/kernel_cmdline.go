package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// KernelCmdline asks whether the pages that the kernel was asked for when it
// booted were allocated, and on the nodes that were named. If a node lacks memory, the
// kernel (6.1 and 6.12) silently allocates the pages on another one.
func KernelCmdline(h host.Host) ([]hostprep.Finding, error) {
	k, err := boot.ReadKernel(h)
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
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	asked := k.Asked() // sizes and nodes that it does not have are among the slips
	var findings []hostprep.Finding
	for _, p := range slices.SortedFunc(maps.Keys(asked.Pages), func(a, b boot.Pool) int {
		return cmp.Or(cmp.Compare(a.Size, b.Size), a.Node-b.Node)
	}) {
		all, _ := state.Global(p.Size)
		there, where := all.Total, ""
		if p.Node >= 0 {
			on, _ := state.Pool(p.Node, p.Size)
			there, where = on.Total, fmt.Sprintf(" on node %d", p.Node)
		}
		want := asked.Pages[p]
		if there >= want {
			continue
		}
		f := hostprep.Finding{Severity: hostprep.Warning,
			Have: fmt.Sprintf("the kernel command line asks for %s%s, but %d are allocated", pages.Count(want, p.Size), where, there),
			Need: fmt.Sprintf("all of them: %d more%s", want-there, where),
			Do:   "dmesg | grep -i hugetlb shows why; " + AskFor(state, mem, want, p.Size, p.Node)}
		for _, n := range nodes {
			if on, _ := state.Pool(n.ID, p.Size); p.Node >= 0 && on.Total > asked.Pages[boot.Pool{Size: p.Size, Node: n.ID}] {
				f.Have += fmt.Sprintf("; node %d has %d more than requested", n.ID, on.Total-asked.Pages[boot.Pool{Size: p.Size, Node: n.ID}])
			}
			if n.ID == p.Node || p.Node < 0 && len(nodes) == 1 {
				f.Have += fmt.Sprintf("; node %d has %s of memory in total", n.ID, pages.Amount(n.Total))
			}
		}
		findings = append(findings, f)
	}
	if want := asked.Area(); want > 0 && (mem.CMA == nil || mem.CMA.TotalKiB*pages.KiB < want) {
		but, do := "has none (CmaTotal)", "dmesg | grep -i cma shows why; ask for less: a node must have as much contiguous memory free when it boots"
		switch {
		case mem.CMA == nil:
			but, do = "is built without CMA", "boot a kernel with CONFIG_CMA, or reserve the pages at boot (hugepages=)"
			if asked.Of(k.Gigantic()) > 0 {
				do = "leave hugetlb_cma= out: this kernel reserves the pages of hugepages= without it"
			}
		case mem.CMA.TotalKiB > 0:
			but = fmt.Sprintf("has %s (CmaTotal)", pages.FormatKiB(mem.CMA.TotalKiB))
		}
		findings = append(findings, hostprep.Finding{Severity: hostprep.Warning, Need: "all of it", Do: do,
			Have: fmt.Sprintf("the kernel command line asks for an area of %s for pages on demand, but the kernel %s", pages.FormatBytes(want), but)})
	}
	return findings, nil
}

// AskFor is what to do about a setting that asks for more pages of a size than there are, on
// a node or any, -1.
func AskFor(state pool.State, mem host.Meminfo, n int64, size pages.Size, node int) string {
	kept := pool.Reserve(mem.Total)
	if mem.Total <= kept {
		return fmt.Sprintf("take it out there: the host has %s, and vmhuge would leave it %s", pages.Amount(mem.Total), pages.Amount(kept))
	}
	if most := pool.Most(state, mem.Total, kept, size); n > most {
		return fmt.Sprintf("ask for at most %d there: more do not fit, as the host has %s and keeps %s of it", most, pages.Amount(mem.Total), pages.Amount(kept))
	}
	do := fmt.Sprintf("ask for fewer there, or allocate them now: vmhuge prepare --pages %d --size %s", n, pages.SizeWord(size))
	if node >= 0 {
		do += fmt.Sprintf(" --node %d", node)
	}
	return do
}
