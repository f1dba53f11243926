package hostpage

import (
	"fmt"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// pageSizesCheck lists the sizes that the kernel has, against those that the
// processor could have.
var pageSizesCheck = hostCheck{"page sizes", func(h host.Host, g anyGuest) ([]Fact, error) {
	const name = "page sizes"
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	sizes := state.Sizes()
	if len(sizes) == 0 {
		return []Fact{block(hostprep.BadHost, name, "none", "huge pages", "boot a kernel with CONFIG_HUGETLBFS")}, nil
	}
	have := pages.JoinSizes(sizes)
	if len(sizes) > 1 {
		have += fmt.Sprintf("; the default is %s", g.size)
	}
	cpu, err := h.CPU()
	if err == nil && cpu.PDPE1GB && !slices.Contains(sizes, pages.Size1GiB) {
		return []Fact{off(hostprep.Note, name, have, "1 GiB pages, which the processor supports", "boot with hugepagesz=1G")}, nil
	}
	return []Fact{fine(name, have)}, err
}}

// memoryCheck asks whether the pools leave enough memory for the host itself, and whether
// a huge page is free or could be allocated.
var memoryCheck = hostCheck{"memory", func(h host.Host, g anyGuest) ([]Fact, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	facts := []Fact{fine("memory", fmt.Sprintf("%d MiB, %d MiB available", mem.Total/pages.MiB, mem.Available/pages.MiB))}
	state, err := h.Pools()
	if err != nil {
		return facts, nil // pageSizesCheck says why
	}
	commit, err := h.Commit()
	if err != nil {
		return facts, err
	}
	headroom, reserve, err := capacity.Headroom(h, 0)
	if err != nil {
		return facts, err
	}
	headroom *= pages.KiB
	line := fine("headroom", fmt.Sprintf("the pools can grow by %d MiB", headroom/pages.MiB))
	pooled := pool.Pooled(state)
	free := func(p pool.Global) bool { return p.Available() > 0 }
	short := max(reserve-(mem.Total-pooled), reserve/4-mem.Available)
	switch {
	case len(state.Globals) > 0 && !slices.ContainsFunc(state.Globals, free) && headroom < int64(g.size):
		line = block(hostprep.NoMemory, "headroom", "no huge page is free, and the pools cannot grow",
			fmt.Sprintf("a free page, and %s of ordinary memory for the host", pages.Amount(reserve)), "stop a guest")
	case pooled > 0 && short > 0:
		line = off(hostprep.Warning, "headroom", fmt.Sprintf("the pools hold %s of %s; %s of the rest is available", pages.Amount(pooled), pages.Amount(mem.Total), pages.Amount(mem.Available)),
			fmt.Sprintf("%s of ordinary memory for the host, %s of it available", pages.Amount(reserve), pages.Amount(reserve/4)), giveBack(h, state, short))
	}
	facts = append(facts, line)
	if commit.PoolRoom(reserve)/pages.KiB <= headroom/pages.KiB { // it is what sets the headroom
		f := fine("headroom", fmt.Sprintf("vm.overcommit_memory is 2: of the %s that the kernel commits %s are left, and each page of the pools lowers that",
			pages.Amount(commit.Limit), pages.Amount(max(0, commit.Left()))))
		if headroom < int64(g.size) {
			f.Severity, f.Need = hostprep.Warning, pages.Amount(reserve/4)+" left when the pools have grown: where none is left, programs cannot fork or map memory"
			f.Do = fmt.Sprintf("let the kernel commit more: raise vm.overcommit_ratio, now %d, or sysctl vm.overcommit_memory=0; change it in /etc/sysctl.d to keep it", commit.Ratio)
		}
		facts = append(facts, f)
	}
	return facts, nil
}}

// giveBack is the command that frees so many bytes from a pool, or as many as are free on
// the node with the most free pages.
func giveBack(h host.Host, state pool.State, bytes int64) string {
	var from pool.Pool
	var n int64
	for _, p := range state.Pools {
		global, _ := state.Global(p.Size)
		if may := min(p.Free-p.Surplus, global.Free-global.Reserved, p.Size.Ceil(bytes)); may*int64(p.Size) > n*int64(from.Size) {
			from, n = p, may
		}
	}
	if n == 0 {
		return "stop a guest"
	}
	return fmt.Sprintf("echo %d > %s", from.Total-n, pool.File(h.Root, from.Node, from.Size))
}

// poolsCheck shows the pools by size and by node, and points out pages on unsuitable nodes
// and surplus that no guest uses.
var poolsCheck = hostCheck{"pools", func(h host.Host, _ anyGuest) ([]Fact, error) {
	state, err := h.Pools()
	if err != nil {
		return nil, nil // pageSizesCheck says why
	}
	nodes, err := h.Nodes()
	if err != nil {
		return nil, err
	}
	hasMemory := func(node int) bool {
		i := slices.IndexFunc(nodes, func(n host.Node) bool { return n.ID == node })
		return i < 0 || nodes[i].Total > 0
	}
	withCPUs := map[int]bool{}
	for _, p := range state.Pools {
		without, err := h.WithoutCPUs([]int{p.Node})
		if err != nil {
			return nil, err
		}
		withCPUs[p.Node] = !without
	}
	var facts []Fact
	for _, g := range state.Globals {
		f := fine("pool "+g.Size.String(), fmt.Sprintf("%d pages, %d free, %d of them reserved, %d surplus, overcommit %d",
			g.Total, g.Free, g.Reserved, g.Surplus, g.Overcommit))
		var counts []int64
		for _, node := range state.Nodes(g.Size) {
			if p, _ := state.Pool(node, g.Size); withCPUs[node] && hasMemory(node) {
				counts = append(counts, p.Persistent())
			}
		}
		if len(counts) > 1 && slices.Max(counts)-slices.Min(counts) > 1 {
			f.Severity, f.Need, f.Do = hostprep.Note, "the same number on each node, unless guests are bound to one", "vmhuge plan shows what each node needs"
		}
		facts = append(facts, f)
		if reserved, err := pool.ReadReserved(h.Root, g.Size); err == nil && reserved < 0 {
			facts = append(facts, off(hostprep.Warning, f.Name, fmt.Sprintf("the kernel counts %d pages as reserved, a kernel bug: it promises %d more than exist, so that a program may die when it uses them, and frees none while fewer are in use", reserved, -reserved),
				"0 or more", "reboot, when no guest has pages of this size; a mount with both size= and min_size= can be the cause"))
		}
	}
	for _, p := range state.Pools {
		file := pool.File(h.Root, p.Node, p.Size)
		f := fine(fmt.Sprintf("%s%d", nodeFact, p.Node), fmt.Sprintf("%d of %d pages of %s are free", p.Free, p.Total, p.Size))
		switch {
		case p.Total > 0 && !withCPUs[p.Node]:
			f.Severity, f.Cause = hostprep.Warning, hostprep.NodeWithoutCPUs
			f.Have += ", but the node has no CPUs"
			f.Need, f.Do = "pages on nodes with CPUs", fmt.Sprintf("echo 0 > %s, and allocate them on another node", file)
		case p.Surplus > 0 && p.Free == p.Total:
			f.Severity = hostprep.Note
			f.Have += fmt.Sprintf(", %d of them unused surplus", p.Surplus)
			f.Need, f.Do = "no surplus left behind by a stopped guest", fmt.Sprintf("echo %d > %s; echo %d > %s", p.Total, file, p.Persistent(), file)
		}
		facts = append(facts, f)
	}
	return facts, nil
}}
