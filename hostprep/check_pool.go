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
	can := canGrow(nodes, needs, g.Allowance)
	growth, growthErr := Growth{}, error(nil)
	if len(needs) > 0 && g.HeadroomKiB != notAsked {
		growth, growthErr = h.Growth(g.HeadroomKiB, g.Reserve)
		if growthErr == nil {
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
			f.Fixable = can
			if can {
				f.Do = "vmhuge start gets them"
				for _, need := range needs {
					if need.Size == l.size && slices.Equal(need.Nodes, l.nodes) {
						f.Changes = append(f.Changes, poolGrowth(h, state, nodes, need)...)
					}
				}
			} else {
				f.Do = "stop a guest or use less memory"
				short := exceeds(needs, g.Allowance)
				switch {
				case f.Severity != Blocker: // the kernel may find the pages
				case f.CouldMake != nil:
					f.Have += fmt.Sprintf("; %s, beside the %s that the host keeps", f.words(), pages.FormatBytes(g.Reserve))
				case short != nil:
					f.Have += "; " + short.Error()
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
		// mbind(), which all modes but restrictive come to, gives EINVAL where the
		// cpuset has none of the nodes.
		if item.Mode != pages.Restrictive && len(named) > 0 && len(cpuset) > 0 && len(intersect(named, cpuset)) == 0 {
			return bad(BindingsContradict, "<numatune><memory> allows node "+d.CPUSetNodes+" alone", "node "+item.HostNodes+" for guest node "+fmt.Sprint(item.GuestNode),
				"let <memory> and <memnode> agree"), nil
		}
	}
	return nil, nil
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
func canGrow(nodes []Node, needs []pool.Need, a Allowance) bool {
	headroom := a.HeadroomKiB * pages.KiB
	keeps := int64(0)
	if len(nodes) > 1 {
		keeps = pool.NodeReserve(a.Reserve, len(nodes))
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
