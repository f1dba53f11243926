// Package capacity works out what the pools lack for a guest, and how far they can grow.
package capacity

import (
	"fmt"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// BadNodes finds nodes that the host does not have, and bindings that contradict each
// other.
func BadNodes(nodes []host.Node, d pages.Demand) ([]hostprep.Finding, error) {
	var have []int
	for _, n := range nodes {
		have = append(have, n.ID)
	}
	cpuset, err := pages.ParseNodesOrNone(d.CPUSetNodes)
	if err != nil {
		return nil, err
	}
	bad := func(cause hostprep.Cause, have, need, do string) []hostprep.Finding {
		return []hostprep.Finding{{Severity: hostprep.Blocker, Verdict: hostprep.BadDomain, Cause: cause, Have: have, Need: need, Do: do}}
	}
	lists := []string{d.CPUSetNodes}
	for _, item := range d.Items {
		lists = append(lists, item.HostNodes)
	}
	for _, list := range lists {
		named, err := pages.ParseNodesOrNone(list)
		if err != nil {
			return nil, err
		}
		for _, node := range named {
			if !slices.Contains(have, node) {
				return bad(hostprep.NodeMissing, fmt.Sprintf("node %d, which <numatune> names, does not exist: the host has node %s", node, pages.FormatNodes(have)), "a node that exists",
					"change <numatune>"), nil
			}
		}
	}
	for _, item := range d.Items {
		named, _ := pages.ParseNodesOrNone(item.HostNodes)
		// mbind(), which all modes but restrictive come to, gives EINVAL where the
		// cpuset has none of the nodes.
		if item.Mode != pages.Restrictive && len(named) > 0 && len(cpuset) > 0 && len(pages.Intersect(named, cpuset)) == 0 {
			return bad(hostprep.BindingsContradict, "<numatune><memory> allows only node "+d.CPUSetNodes+"", "node "+item.HostNodes+" for guest node "+fmt.Sprint(item.GuestNode),
				"make <memory> and <memnode> agree"), nil
		}
	}
	return nil, nil
}

// Shortfall returns the pages to add so that the guest's start is certain. If numad
// chooses the nodes, it never is: the pages are enough, but may be on other nodes.
func Shortfall(state pool.State, g hostprep.Guest) []pool.Need {
	var needs []pool.Need
	for _, l := range Limits(state, g) {
		lacks := l.most - l.sure
		for _, n := range needs {
			if n.Size == l.Size && (l.Nodes == nil || len(pages.Intersect(n.Nodes, l.Nodes)) == len(n.Nodes)) {
				lacks -= n.Pages
			}
		}
		if lacks > 0 {
			needs = append(needs, pool.Need{Nodes: l.Nodes, Size: l.Size, Pages: lacks})
		}
	}
	return needs
}

// CanGrow says whether the host has enough memory for the pages; fragmentation is not
// considered.
func CanGrow(nodes []host.Node, needs []pool.Need, a hostprep.Allowance) bool {
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

// SureOnEachNode says whether the pages are there whichever node is chosen, whatever takes those that
// are reserved.
func SureOnEachNode(state pool.State, d pages.Demand) bool {
	for _, total := range d.Totals() {
		for _, node := range state.Nodes(total.PageSize) {
			global, _ := state.Global(total.PageSize)
			if p, _ := state.Pool(node, total.PageSize); p.Free-global.Reserved < total.Pages {
				return false
			}
		}
	}
	return true
}
