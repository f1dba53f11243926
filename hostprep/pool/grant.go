package pool

import "vmhuge/internal/pages"

// Grant is pages that were added to the pool of one node.
type Grant struct {
	Node int        `json:"node"`
	Size pages.Size `json:"page_size_kib"`
	// Pages is what was added. While the pool is being written, to add or to free
	// them, it is the most that can be there, and Without is the persistent count
	// without any of them, from which the next run after a crash computes how many
	// there are. Otherwise Without is nil.
	Pages   int64  `json:"pages"`
	Without *int64 `json:"without,omitempty"`
	// Surplus is how many of Pages the kernel did not allocate but took from the surplus
	// that another program was using.
	Surplus int64 `json:"surplus,omitempty"`
}

// Of is so many pages of the grant, from the surplus last.
func (g Grant) Of(n int64) Grant {
	g.Pages, g.Surplus = n, max(0, n-(g.Pages-g.Surplus))
	return g
}

// Rest is the grant without so many pages, from the surplus last.
func (g Grant) Rest(n int64) Grant {
	g.Pages, g.Surplus = g.Pages-n, min(g.Surplus, g.Pages-n)
	return g
}

// There is what the pool has of a grant that was being changed.
func (g Grant) There(p Pool) int64 { return min(g.Pages, max(0, p.Persistent()-*g.Without)) }
