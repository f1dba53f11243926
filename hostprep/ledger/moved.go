package ledger

import (
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// The kernel moves a guest's pages to another node for migratepages, a new nodeset of a cpuset or
// memory that goes offline: one pool shrinks by what the other grows. The grants then go along,
// so that each node is left with what it had before.

// followMoves moves grants to the nodes to which the kernel has moved pages. Nobody has asked for
// the counts then: the sum is as expected, no node's file was opened to write it, and no file of
// sysctl's sets that sum. Where more has moved than vmhuge had added, the pools are as if set.
func (l *Ledger) followMoves(state pool.State) error {
	if l.counts.crashed || len(l.counts.unfinished) > 0 || len(l.newer) > 0 {
		return nil
	}
	sizes := map[pages.Size]bool{}
	for _, c := range l.counts.pools {
		sizes[c.Size] = true
	}
	for size := range sizes {
		if more := l.moved(state, size); more != nil && sysctlHasSet(l.root, state, size) == "" {
			if err := l.moveGrants(size, more); err != nil {
				return err
			}
		}
	}
	return nil
}

// moved is by how much the pool of each node has grown if the kernel has moved pages of a size,
// and they can all be vmhuge's; else nil.
func (l *Ledger) moved(state pool.State, size pages.Size) map[int]int64 {
	more, sum, differs := map[int]int64{}, int64(0), false
	for _, node := range state.Nodes(size) {
		c := l.counts.of(node, size)
		p, _ := state.Pool(node, size)
		if c == nil || !pool.Marked(l.root, node, size) {
			return nil
		}
		more[node] = p.Persistent() - c.Persistent
		sum, differs = sum+more[node], differs || more[node] != 0
	}
	if sum != 0 || !differs {
		return nil
	}
	for node := range more { // only now: it reads every claim
		p, _ := state.Pool(node, size)
		if l.recorded(p.Node, p.Size)+more[node] < 0 {
			return nil
		}
	}
	return more
}

// moveGrants takes grants from the nodes that have fewer pages to those that have more.
func (l *Ledger) moveGrants(size pages.Size, more map[int]int64) error {
	for i := range l.claims {
		c, err := l.read(l.claims[i])
		if err != nil {
			continue // one that can't be used is seen to elsewhere
		}
		var grants []pool.Grant
		for _, g := range c.Grants {
			for to := range more {
				part := min(g.Pages, more[to], -more[g.Node])
				if g.Size != size || part <= 0 {
					continue
				}
				more[to] -= part
				more[g.Node] += part
				gone := g.Of(part)
				gone.Node, g = to, g.Rest(part)
				grants = append(grants, gone)
			}
			grants = append(grants, pool.Some(g)...)
		}
		if slices.Equal(grants, c.Grants) {
			continue
		}
		c.Grants = grants
		if err := l.save(i, c); err != nil {
			return err
		}
	}
	return nil
}
