package ledger

import (
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
)

// Pages that are reserved for a guest's growth are takes of its own claim that it is not about
// to take: the claim is "starting" as long as it has any, so that all who get pages see them.

// reservesGrowth says that pages are reserved for the growth of a guest.
func (c Claim) reservesGrowth(root hostfs.Root) bool {
	return slices.ContainsFunc(c.pending(root), func(p pool.Pending) bool { return p.Growth })
}

// beside is what a guest will take, or leaves reserved, besides the pages by which it now grows.
// Those come first from what is reserved for that on the same nodes: r.Reserved says how many.
func (l *Ledger) beside(c Claim, r *Resize, nodes []int) (beside []pool.Pending) {
	r.Reserved, r.Nodes = 0, nodes
	for _, p := range c.pending(l.root) {
		if part := min(p.Unmapped, r.Pages-r.Reserved); p.Growth && part > 0 && p.Size == r.Size && slices.Equal(p.Nodes, nodes) {
			r.Reserved += part
			p.Pages, p.Unmapped, p.Unfaulted = p.Pages-part, p.Unmapped-part, p.Unfaulted-part
		}
		if p.Unmapped > 0 {
			beside = append(beside, p)
		}
	}
	return beside
}

// countGrowth settles what a guest has of the pages that were reserved for its growth: what it
// did not take, or gave up of them, is reserved again.
func (c *Claim) countGrowth(r *Resize, grew int64) {
	reserve := func(nodes []int, n int64) {
		if n > 0 {
			c.Takes = append(c.Takes, pool.Take{Nodes: nodes, Size: r.Size, Pages: n, Growth: true})
		}
	}
	used := min(max(0, grew), r.Reserved)
	reserve(r.Nodes, r.Reserved-used)
	c.Grown = slices.Clone(c.Grown)
	if used > 0 {
		c.Grown = append(c.Grown, pool.Take{Nodes: r.Nodes, Size: r.Size, Pages: used})
	}
	for i := range c.Grown {
		if g := &c.Grown[i]; g.Size == r.Size {
			part := max(0, min(g.Pages, -grew-r.Back))
			reserve(g.Nodes, part)
			g.Pages -= part
			r.Back += part
		}
	}
	c.Grown = slices.DeleteFunc(c.Grown, func(t pool.Take) bool { return t.Pages == 0 })
}
