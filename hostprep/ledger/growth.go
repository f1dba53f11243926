package ledger

import (
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// Pages that are reserved for a guest's growth are a take of its own claim that it is not about
// to take. It stays as it was at the start, and the claim is "starting" for as long as the guest
// runs, so that all who get pages see what is left of it:
//
//	reserved = max(0, R - G)
//
// R is what was reserved at the start, and G (Claim.Grown) by how much the guest has grown since
// on pages of the same size and nodes. So beside what it started with, and has not given up, the
// guest has
//
//	max(R, G)
//
// pages in the pools: what it grows by uses the reserved pages up, more is added, and as it
// shrinks what is more than R is freed first, and the rest is reserved again. G is never below 0:
// memory that the guest had at its start, and gives up, is freed.
//
// Of a DIMM G is what the kernel's account shows, whoever removed it; a DIMM that another program
// adds uses reserved pages, but does not count. Of virtio-mem it is what was asked for through
// vmhuge, and where a run was killed, as if the guest had taken all, or given up nothing: what it
// has given up then is kept as a take that is Unplugging, so that there are G pages in any case.

// reservesGrowth says that pages were reserved for the growth of a guest at its start.
func (c Claim) reservesGrowth() bool {
	return slices.ContainsFunc(c.Takes, func(t pool.Take) bool { return t.Growth })
}

// takesNow are the takes of a claim, with what is left of those for its growth.
func (c Claim) takesNow() []pool.Take {
	takes := slices.Clone(c.Takes)
	for i, t := range takes {
		if !t.Growth {
			continue
		}
		grown := pagesAt(c.Grown, t)
		if r := c.Resize; r != nil && !r.Counted && t.At(pool.Take{Nodes: r.Nodes, Size: r.Size}) {
			grown += max(0, r.Pages) // which it is about to take
		}
		takes[i].Pages = max(0, t.Pages-grown)
	}
	return takes
}

// grow counts that the guest has grown by n pages, or, of a negative number, shrunk. It returns by
// how many more, or fewer, the pools must have for it.
func (c *Claim) grow(n int64, size pages.Size, nodes []int) (more int64) {
	at := pool.Take{Nodes: nodes, Size: size, Growth: true}
	i := slices.IndexFunc(c.Takes, func(t pool.Take) bool { return t.Growth && t.At(at) })
	if i < 0 {
		return n
	}
	reserved, before := c.Takes[i].Pages, pagesAt(c.Grown, at)
	after := max(0, before+n)
	at.Pages, at.Growth = after, false
	c.Grown = WithTake(c.Grown, at)
	ofStart := n - (after - before) // below 0: what it gives up of what it started with
	return max(reserved, after) - max(reserved, before) + ofStart
}

// pagesAt is how many pages of the same size and nodes are among takes.
func pagesAt(takes []pool.Take, at pool.Take) (n int64) {
	for _, t := range takes {
		if t.At(at) {
			n += t.Pages
		}
	}
	return n
}

// hasAll says that a guest that runs takes no more pages, neither now nor by its growth.
func (c Claim) hasAll(root hostfs.Root) bool {
	return !c.reservesGrowth() && len(c.pending(root)) == 0
}
