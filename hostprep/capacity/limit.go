package capacity

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Limit is one condition of the kernel's that the start must meet: so many
// pages of a size on these nodes.
type Limit struct {
	Size  pages.Size
	Nodes []int // nil: all
	// What the guest takes there: at least, when all that may come from other
	// nodes does, and at most, when nothing does.
	Least, most int64
	// Pages that are certain for the guest; pages that other starting guests may
	// take here or on another node; and what overcommit adds if the kernel then
	// finds free memory.
	sure, contested, overcommit int64

	// Of what sure is made, for the message. Those that are reserved are for heldFor.
	free, total, Reserved, promised, held int64
	heldFor                               string
}

// Limits returns every condition for the guest's start, those of the smallest
// sets of nodes first.
//
// QEMU maps and fills its backends one after the other. Mapping reserves all
// pages or none: as many must be free and not reserved over all nodes, and be
// free on the nodes of the thread's cpuset, whoever has reserved them there
// (hugetlb_acct_memory in the kernel's mm/hugetlb.c). Filling a backend that is
// bound to nodes needs its pages to be free there, else SIGBUS ends it. Modes
// other than strict fall back to any node.
func Limits(state pool.State, g hostprep.Guest) []Limit {
	cpuset, _ := pages.ParseNodesOrNone(g.Demand.CPUSetNodes)
	var all []Limit
	for _, total := range g.Demand.Totals() {
		size := total.PageSize
		global, ok := state.Global(size)
		if !ok || total.Pages <= 0 {
			continue // the check of the page size reports it
		}
		overcommit := max(0, global.Overcommit-global.Surplus)
		whole := Limit{
			Size: size, Least: total.Pages, most: total.Pages, overcommit: overcommit,
			free: global.Free, total: global.Total, Reserved: global.Reserved,
		}
		for _, p := range g.Pending {
			if p.Size == size && p.For == "" {
				whole.promised += p.Unmapped
			} else if p.Size == size {
				whole.held += p.Unmapped
			}
		}
		whole.heldFor = heldFor(g.Pending, size)
		whole.sure = whole.free - whole.Reserved - whole.promised - whole.held + g.Kept[size]
		sets := []Limit{whole}
		add := func(l Limit) {
			for _, node := range l.Nodes {
				p, _ := state.Pool(node, size)
				l.free += p.Free
				l.total += p.Total
			}
			elsewhere := whole.free - l.free
			l.promised, l.held, l.contested = promised(g.Pending, size, l.Nodes, elsewhere)
			l.heldFor = whole.heldFor
			l.sure = l.free - l.promised - l.held - l.contested
			l.Least += max(0, l.most-l.Least-elsewhere)
			i := slices.IndexFunc(sets, func(o Limit) bool { return slices.Equal(o.Nodes, l.Nodes) })
			if i < 0 {
				sets = append(sets, l)
				return
			}
			sets[i].Least, sets[i].most = max(sets[i].Least, l.Least), max(sets[i].most, l.most)
			sets[i].overcommit = min(sets[i].overcommit, l.overcommit)
		}
		if len(cpuset) > 0 {
			l := Limit{Size: size, Nodes: cpuset, Least: total.Pages, most: total.Pages}
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
			if bound := hostprep.BoundTo(item, cpuset); bound != nil {
				l := Limit{Size: size, Nodes: bound, Least: item.Pages, most: item.Pages, overcommit: overcommit}
				for _, e := range earlier {
					nodes := hostprep.BoundTo(e, cpuset)
					if nodes == nil {
						nodes = cpuset
					}
					shared := pages.Intersect(nodes, bound)
					if len(nodes) == 0 || len(shared) > 0 {
						l.most += e.Pages
					}
					if len(nodes) > 0 && len(shared) == len(nodes) {
						l.Least += e.Pages
					}
				}
				add(l)
			}
			earlier = append(earlier, item)
		}
		all = append(all, sets...)
	}
	slices.SortStableFunc(all, func(a, b Limit) int {
		if (a.Nodes == nil) != (b.Nodes == nil) {
			return len(b.Nodes) - len(a.Nodes) // all nodes last
		}
		return len(a.Nodes) - len(b.Nodes)
	})
	return all
}

// promised is what guests that are starting will take on some nodes, what is reserved for
// programs there, and what such guests may take there or elsewhere, as far as there are free
// pages elsewhere. What is reserved for a program may be on any of the nodes that it names.
func promised(pending []pool.Pending, size pages.Size, nodes []int, elsewhere int64) (guests, programs, may int64) {
	var program int64 // that may be elsewhere
	for _, p := range pending {
		add := &guests
		switch shared := pages.Intersect(p.Nodes, nodes); {
		case p.Size != size || len(p.Nodes) > 0 && len(shared) == 0:
			continue
		case len(p.Nodes) > 0 && len(shared) == len(p.Nodes):
			if p.For != "" {
				add = &programs
			}
		case p.For != "":
			add = &program
		default:
			add = &may
		}
		*add += p.Unfaulted
	}
	here := max(0, may+program-elsewhere)
	programs += min(here, program)
	here -= min(here, program)
	return guests + here, programs, may - here
}

// heldFor names the programs for which pages of a size are reserved, and the guests for which
// they are kept.
func heldFor(pending []pool.Pending, size pages.Size) string {
	var names []string
	for _, p := range pending {
		name := p.For
		if p.Kept {
			name = "the guest " + name
		}
		if p.Size == size && p.For != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}

// HeldFor names the programs and guests without whose reservations the guest would have its
// pages, or is "".
func (l Limit) HeldFor() string {
	if l.held == 0 || l.Least > l.Could()+l.held {
		return ""
	}
	return l.heldFor
}

// Could is how many pages the guest finds at best.
func (l Limit) Could() int64 { return l.sure + l.contested + l.overcommit }

// Lacks is how many more pages make the start certain.
func (l Limit) Lacks() int64 { return l.most - l.sure }

// Judge says how a limit affects the start; without a severity it does not.
func (l Limit) Judge() hostprep.Finding {
	where := ""
	cause := hostprep.PoolShort
	if l.Nodes != nil {
		where, cause = " on node "+pages.FormatNodes(l.Nodes), hostprep.NodeShort
	}
	f := hostprep.Finding{
		Cause: cause,
		Have:  fmt.Sprintf("%d of %s are free%s", l.free, pages.Count(l.total, l.Size), where),
		Need:  pages.Count(l.most, l.Size) + where,
	}
	if l.Reserved > 0 {
		f.Have += fmt.Sprintf(", %d of them reserved by running programs", l.Reserved)
	}
	if l.promised > 0 {
		f.Have += fmt.Sprintf(", %d of them promised to guests that are starting", l.promised)
	}
	if l.held > 0 {
		f.Have += fmt.Sprintf(", %d of them reserved for %s", l.held, l.heldFor)
	}
	switch {
	case l.most <= l.sure:
	case l.Least > l.Could():
		f.Severity, f.Verdict = hostprep.Blocker, hostprep.NoMemory
		f.Need = pages.Count(l.Least, l.Size) + where
	case l.Least > l.sure+l.overcommit:
		f.Severity, f.Verdict = hostprep.Warning, hostprep.Unknown
		f.Have += fmt.Sprintf(", and other guests that are starting may take %d of them", l.contested)
	case l.most <= l.sure+l.overcommit:
		f.Severity = hostprep.Note
		f.Do = fmt.Sprintf("nothing: nr_overcommit_hugepages lets the kernel allocate the other %d when the guest starts, if memory is free", l.most-l.sure)
		if l.Size >= pages.Size1GiB {
			f.Do += " in whole GiB"
		}
	default:
		f.Severity, f.Verdict = hostprep.Warning, hostprep.Unknown
		f.Need += fmt.Sprintf(" to be sure: the guest's other memory may take up to %d of them first", l.most-l.Least)
	}
	return f
}
