package hostprep

import (
	"fmt"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// poolCheck asks whether the pools have the pages that the guest takes when it
// starts, on the nodes where it takes them.
var poolCheck = Check{"pool", func(h Host, g Guest) ([]Finding, error) {
	if len(g.Demand.Items) == 0 {
		return nil, nil
	}
	nodes, err := h.Nodes()
	if err != nil {
		return nil, err
	}
	if findings, err := badNodes(nodes, g.Demand); err != nil || len(findings) > 0 {
		return findings, err
	}
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	mounts, err := h.Mounts()
	if err != nil {
		return nil, err
	}
	g.kept = h.keptFor(g)
	own, _ := h.usedMounts(g)
	needs := Shortfall(state, g)
	can := canGrow(nodes, needs, g)
	growth, growthErr := Growth{}, error(nil)
	if len(needs) > 0 && g.HeadroomKiB != notAsked {
		if growth, growthErr = h.Growth(g.HeadroomKiB, g.Reserve); growthErr == nil {
			can = can && growth.exceeds(needs) == nil
		}
	}
	var findings []Finding
	for _, l := range limits(state, g) {
		f := l.judge()
		for _, m := range mounts {
			// Of what is reserved, min_size= keeps that much for files on the mount.
			others := m.MinSize / max(1, int64(m.Size))
			if slices.ContainsFunc(own, func(o Mount) bool { return within(o.Point, m.Point) }) {
				others -= g.kept[m.Size]
			}
			if f.Severity == Blocker && l.nodes == nil && m.Size == l.size && others > 0 && l.least <= l.could()+min(l.reserved, others) {
				f.Cause = MinSize
				f.Have += fmt.Sprintf(", some perhaps for guests on %s (min_size=%d)", m.Point, m.MinSize)
			}
		}
		switch f.Severity {
		case "":
			continue
		case Blocker, Warning:
			if g.HeadroomKiB != notAsked && growthErr == nil {
				could := growth.On(l.size, l.nodes)
				f.CouldMake = &could
			}
			if f.Fixable = can; can {
				f.Do = "vmhuge start gets them"
				f.Changes = poolChanges(h, state, nodes, l, needs)
			} else {
				f.Do = "stop a guest or use less memory"
				if short := exceeds(needs, g); f.Severity != Blocker {
				} else if f.CouldMake == nil && short != nil {
					f.Have += "; " + short.Error()
				} else if f.CouldMake != nil {
					f.Have += fmt.Sprintf("; %s, beside the %s that the host keeps", f.words(), pages.FormatBytes(g.Reserve))
				}
			}
		}
		findings = append(findings, f)
	}
	if g.Demand.Auto && !sureOnEachNode(state, g.Demand) {
		findings = append(findings, Finding{
			Severity: Warning, Verdict: Unknown,
			Have: "numad chooses the guest's nodes when it starts, so that nobody can tell if they have the pages",
			Need: "a placement that is known before",
			Do:   "name the nodes in <numatune>, or start it and see",
		})
	}
	return findings, nil
}}

// badNodes finds nodes that the host has not, and bindings that contradict
// each other.
func badNodes(nodes []Node, d pages.Demand) ([]Finding, error) {
	var have []int
	for _, n := range nodes {
		have = append(have, n.ID)
	}
	cpuset, err := parseNodes(d.CPUSetNodes)
	if err != nil {
		return nil, err
	}
	bad := func(cause Cause, have, need, do string) []Finding {
		return []Finding{{Severity: Blocker, Verdict: BadDomain, Cause: cause, Have: have, Need: need, Do: do}}
	}
	lists := []string{d.CPUSetNodes}
	for _, item := range d.Items {
		lists = append(lists, item.HostNodes)
	}
	for _, list := range lists {
		named, err := parseNodes(list)
		if err != nil {
			return nil, err
		}
		for _, node := range named {
			if !slices.Contains(have, node) {
				return bad(NodeMissing, "the host has node "+pages.FormatNodes(have), fmt.Sprintf("node %d, which <numatune> names", node),
					"change <numatune>"), nil
			}
		}
	}
	for _, item := range d.Items {
		named, _ := parseNodes(item.HostNodes)
		// mbind() gives EINVAL where the cpuset has none of the nodes.
		if item.Mode == pages.Strict && len(named) > 0 && len(cpuset) > 0 && len(intersect(named, cpuset)) == 0 {
			return bad(BindingsContradict, "<numatune><memory> allows node "+d.CPUSetNodes+" alone", "node "+item.HostNodes+" for guest node "+fmt.Sprint(item.GuestNode),
				"let <memory> and <memnode> agree"), nil
		}
	}
	return nil, nil
}

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

// NewClaim is the claim of a guest with that demand, without its owner.
func NewClaim(d pages.Demand, uuid, name string) pool.Claim {
	return pool.Claim{UUID: uuid, Name: name, Takes: takesOf(d), Elastic: d.Elastic}
}

// takesOf is what a demand takes from the pools, and where.
func takesOf(d pages.Demand) []pool.Take {
	cpuset, _ := parseNodes(d.CPUSetNodes)
	takes := []pool.Take{}
	for _, item := range d.Items {
		if item.Pages <= 0 {
			continue
		}
		nodes := boundTo(item, cpuset)
		if nodes == nil {
			nodes = cpuset // of the thread that touches the pages
		}
		takes = append(takes, pool.Take{Nodes: nodes, Size: item.PageSize, Pages: item.Pages})
	}
	return takes
}

// Shortfall returns the pages to add so that the guest's start is sure. Where
// numad chooses the nodes, nothing makes it so; then the pages are enough, but
// may be on other nodes.
func Shortfall(state pool.State, g Guest) []pool.Need {
	var needs []pool.Need
	for _, l := range limits(state, g) {
		lacks := l.most - l.sure
		for _, n := range needs {
			if n.Size == l.size && (l.nodes == nil || len(intersect(n.Nodes, l.nodes)) == len(n.Nodes)) {
				lacks -= n.Pages
			}
		}
		if lacks > 0 {
			needs = append(needs, pool.Need{Nodes: l.nodes, Size: l.size, Pages: lacks})
		}
	}
	return needs
}

// canGrow says whether the host has the memory for the pages, as far as
// numbers tell.
func canGrow(nodes []Node, needs []pool.Need, g Guest) bool {
	headroom := g.HeadroomKiB * pages.KiB
	keeps := int64(0)
	if len(nodes) > 1 {
		keeps = pool.NodeReserve(g.Reserve, len(nodes))
	}
	for _, need := range needs {
		bytes := need.Pages * int64(need.Size)
		headroom -= bytes
		for _, n := range nodes {
			if slices.Contains(need.Nodes, n.ID) {
				bytes -= max(0, n.Free+n.Cache-keeps)
			}
		}
		if headroom < 0 || need.Nodes != nil && bytes > 0 {
			return false
		}
	}
	return true
}

// sureOnEachNode says whether the pages are there whichever node is chosen.
func sureOnEachNode(state pool.State, d pages.Demand) bool {
	for _, total := range d.Totals() {
		for _, node := range state.Nodes(total.PageSize) {
			if p, _ := state.Pool(node, total.PageSize); p.Free < total.Pages {
				return false
			}
		}
	}
	return true
}

// count writes a number of pages: 1200 pages of 2 MiB.
func count(n int64, size pages.Size) string {
	if n == 1 {
		return "1 page of " + size.String()
	}
	return fmt.Sprintf("%d pages of %s", n, size)
}

// parseNodes reads a list of nodes; an empty one names none.
func parseNodes(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	return pages.ParseNodes(list)
}

func intersect(a, b []int) []int {
	var both []int
	for _, n := range a {
		if slices.Contains(b, n) {
			both = append(both, n)
		}
	}
	return both
}
