package hostprep

import (
	"cmp"
	"slices"
	"strconv"

	"vmhuge/hostprep/pool"
)

// PoolChanges says how the pools differ between two moments, as changes.
func PoolChanges(h Host, before, after pool.State) []Change {
	var changes []Change
	for _, p := range after.Pools {
		was, _ := before.Pool(p.Node, p.Size)
		if p.Persistent() != was.Persistent() {
			changes = append(changes, Change{Kind: KindPool, Path: pool.File(h.Root, p.Node, p.Size),
				From: strconv.FormatInt(was.Persistent(), 10), To: strconv.FormatInt(p.Persistent(), 10)})
		}
	}
	return changes
}

// poolChanges says how the pools will be changed to meet a limit. Pages that
// any of several nodes may give are shown on the one with the most free memory,
// which is asked first.
func poolChanges(h Host, state pool.State, nodes []Node, l limit, needs []pool.Need) []Change {
	var changes []Change
	for _, need := range needs {
		if need.Size != l.size || !slices.Equal(need.Nodes, l.nodes) {
			continue
		}
		may := slices.Clone(nodes)
		if need.Nodes != nil {
			may = slices.DeleteFunc(may, func(n Node) bool { return !slices.Contains(need.Nodes, n.ID) })
		}
		if len(may) == 0 {
			continue
		}
		most := slices.MaxFunc(may, func(a, b Node) int { return cmp.Compare(a.Free, b.Free) })
		was, _ := state.Pool(most.ID, need.Size)
		changes = append(changes, Change{Kind: KindPool, Path: pool.File(h.Root, most.ID, need.Size),
			From: strconv.FormatInt(was.Persistent(), 10), To: strconv.FormatInt(was.Persistent()+need.Pages, 10)})
	}
	return changes
}
