package hostprep

import (
	"fmt"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// limit is one condition of the kernel's that the start must meet: so many
// pages of a size on these nodes.
type limit struct {
	size  pages.Size
	nodes []int // nil: all
	// What the guest takes there: at least, when all that may come from other
	// nodes does, and at most, when nothing does.
	least, most int64
	// What is there for it whatever happens; what other guests that are
	// starting may take here or on another node; and what overcommit adds if
	// the kernel then finds free memory.
	sure, contested, overcommit int64

	free, total, reserved, promised int64 // of which sure is made, for the message
}

// limits returns every condition for the guest's start, those of the smallest
// sets of nodes first.
//
// QEMU maps and fills its backends one after the other. Mapping reserves all
// pages or none: as many must be free and not reserved over all nodes, and be
// free on the nodes of the thread's cpuset, whoever has reserved them there
// (hugetlb_acct_memory in the kernel's mm/hugetlb.c). Filling a backend that is
// bound to nodes needs its pages to be free there, else SIGBUS ends it. Modes
// other than strict fall back to any node.
func limits(state pool.State, g Guest) []limit {
	cpuset, _ := parseNodes(g.Demand.CPUSetNodes)
	var all []limit
	for _, total := range g.Demand.Totals() {
		size := total.PageSize
		global, ok := state.Global(size)
		if !ok || total.Pages <= 0 {
			continue // the check of the page size tells
		}
		overcommit := max(0, global.Overcommit-global.Surplus)
		whole := limit{
			size: size, least: total.Pages, most: total.Pages, overcommit: overcommit,
			free: global.Free, total: global.Total, reserved: global.Reserved,
		}
		for _, p := range g.Pending {
			if p.Size == size {
				whole.promised += p.Unmapped
			}
		}
		whole.sure = whole.free - whole.reserved - whole.promised + g.kept[size]
		sets := []limit{whole}
		add := func(l limit) {
			for _, node := range l.nodes {
				p, _ := state.Pool(node, size)
				l.free += p.Free
				l.total += p.Total
			}
			elsewhere := whole.free - l.free
			l.promised, l.contested = promised(g.Pending, size, l.nodes, elsewhere)
			l.sure = l.free - l.promised - l.contested
			l.least += max(0, l.most-l.least-elsewhere)
			i := slices.IndexFunc(sets, func(o limit) bool { return slices.Equal(o.nodes, l.nodes) })
			if i < 0 {
				sets = append(sets, l)
				return
			}
			sets[i].least, sets[i].most = max(sets[i].least, l.least), max(sets[i].most, l.most)
			sets[i].overcommit = min(sets[i].overcommit, l.overcommit)
		}
		if len(cpuset) > 0 {
			l := limit{size: size, nodes: cpuset, least: total.Pages, most: total.Pages}
			if whole.most > whole.sure { // the kernel overcommits before it looks at the cpuset
				l.overcommit = overcommit
			}
			add(l)
		}
		var earlier []pages.Item
		for _, item := range g.Demand.Items {
			if item.PageSize != size || item.Pages <= 0 {
				continue
			}
			if bound := boundTo(item, cpuset); bound != nil {
				l := limit{size: size, nodes: bound, least: item.Pages, most: item.Pages, overcommit: overcommit}
				for _, e := range earlier {
					nodes := boundTo(e, cpuset)
					if nodes == nil {
						nodes = cpuset
					}
					shared := intersect(nodes, bound)
					if len(nodes) == 0 || len(shared) > 0 {
						l.most += e.Pages
					}
					if len(nodes) > 0 && len(shared) == len(nodes) {
						l.least += e.Pages
					}
				}
				add(l)
			}
			earlier = append(earlier, item)
		}
		all = append(all, sets...)
	}
	slices.SortStableFunc(all, func(a, b limit) int {
		if (a.nodes == nil) != (b.nodes == nil) {
			return len(b.nodes) - len(a.nodes) // all nodes last
		}
		return len(a.nodes) - len(b.nodes)
	})
	return all
}

// boundTo returns the nodes on which a backend must lie because QEMU binds it,
// nil for none.
func boundTo(item pages.Item, cpuset []int) []int {
	if item.Mode != pages.Strict {
		return nil
	}
	nodes, _ := parseNodes(item.HostNodes)
	if len(nodes) > 0 && len(cpuset) > 0 {
		return intersect(nodes, cpuset)
	}
	return nodes
}

// promised is what guests that are starting will take on some nodes, and what
// they may take there or elsewhere, as far as there are free pages elsewhere.
func promised(pending []pool.Pending, size pages.Size, nodes []int, elsewhere int64) (must, may int64) {
	for _, p := range pending {
		switch shared := intersect(p.Nodes, nodes); {
		case p.Size != size || len(p.Nodes) > 0 && len(shared) == 0:
		case len(p.Nodes) > 0 && len(shared) == len(p.Nodes):
			must += p.Unfaulted
		default:
			may += p.Unfaulted
		}
	}
	sure := max(0, may-elsewhere)
	return must + sure, may - sure
}

// could is what may be there for the guest at best.
func (l limit) could() int64 { return l.sure + l.contested + l.overcommit }

// judge says what a limit makes of the start; no severity: all is well.
func (l limit) judge() Finding {
	where := ""
	cause := PoolShort
	if l.nodes != nil {
		where, cause = " on node "+pages.FormatNodes(l.nodes), NodeShort
	}
	f := Finding{
		Cause: cause,
		Have:  fmt.Sprintf("%d of %s are free%s", l.free, count(l.total, l.size), where),
		Need:  count(l.most, l.size) + where,
	}
	if l.reserved > 0 {
		f.Have += fmt.Sprintf(", %d of them reserved by programs that run", l.reserved)
	}
	if l.promised > 0 {
		f.Have += fmt.Sprintf(", %d of them promised to guests that are starting", l.promised)
	}
	switch {
	case l.most <= l.sure:
	case l.least > l.could():
		f.Severity, f.Verdict = Blocker, NoMemory
		f.Need = count(l.least, l.size) + where
	case l.least > l.sure+l.overcommit:
		f.Severity, f.Verdict = Warning, Unknown
		f.Have += fmt.Sprintf(", and other guests that are starting may take %d of them", l.contested)
	case l.most <= l.sure+l.overcommit:
		f.Severity = Note
		f.Do = fmt.Sprintf("nothing: nr_overcommit_hugepages lets the kernel make the other %d when the guest starts, if memory is free", l.most-l.sure)
	default:
		f.Severity, f.Verdict = Warning, Unknown
		f.Need += fmt.Sprintf(" to be sure: the guest's other memory may take up to %d of them first", l.most-l.least)
	}
	return f
}
