package change

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// KindPool is a pool's nr_hugepages, or its demote, which has no value before. It is there to be
// shown: ledger.Ledger alone changes pools, and no journal takes this kind.
const KindPool Kind = "pool"

var poolKind = kind{
	name: KindPool,
	find: func(_ Change, _ host.Host, parent int, name string) (string, error) { return ReadSysfs(parent, name) },
	line: func(c Change) string {
		if c.From == "" { // a split
			return fmt.Sprintf("echo %s > %s", c.To, c.Path)
		}
		return c.toFrom("echo %s > %s")
	},
	valid: func(c Change) error { return fmt.Errorf("%s: only the ledger changes pools", c) },
}

// PoolsChanged says how the pools differ between two moments, as changes.
func PoolsChanged(h host.Host, before, after pool.State) []Change {
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

// PoolSplit is the change that splits so many pages of a node.
func PoolSplit(h host.Host, node int, size pages.Size, n int64) Change {
	return Change{Kind: KindPool, Path: pool.DemoteFile(h.Root, node, size), To: strconv.FormatInt(n, 10)}
}

// PoolGrowth is the change that adds the pages of a need. Pages that any of several
// nodes may give are shown on the one with the most free memory, which is asked
// first. There is none where the host has none of the nodes.
func PoolGrowth(h host.Host, state pool.State, nodes []host.Node, need pool.Need) []Change {
	may := slices.Clone(nodes)
	if need.Nodes != nil {
		may = slices.DeleteFunc(may, func(n host.Node) bool { return !slices.Contains(need.Nodes, n.ID) })
	}
	if len(may) == 0 {
		return nil
	}
	most := slices.MaxFunc(may, func(a, b host.Node) int { return cmp.Compare(a.Free, b.Free) })
	was, _ := state.Pool(most.ID, need.Size)
	return []Change{{Kind: KindPool, Path: pool.File(h.Root, most.ID, need.Size),
		From: strconv.FormatInt(was.Persistent(), 10), To: strconv.FormatInt(was.Persistent()+need.Pages, 10)}}
}
