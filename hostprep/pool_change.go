package hostprep

import (
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
