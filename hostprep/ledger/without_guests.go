package ledger

import (
	"slices"

	"vmhuge/hostprep/pool"
)

// WithoutGuests returns a state without the pages that were added for guests and for
// programs of vmhuge's own: they leave the pools when these end. What was prepared stays
// counted, until it is undone. Only the pools' totals change.
func WithoutGuests(s pool.State, claims []Claim) pool.State {
	s.Pools = slices.Clone(s.Pools)
	for _, c := range claims {
		if c.Phase == Prepared {
			continue
		}
		for _, g := range c.Grants {
			i := slices.IndexFunc(s.Pools, func(p pool.Pool) bool { return p.Node == g.Node && p.Size == g.Size })
			switch {
			case i < 0: // a node that is gone
			case g.Without != nil:
				s.Pools[i].Total -= g.There(s.Pools[i])
			default:
				s.Pools[i].Total -= g.Pages
			}
		}
	}
	return s
}
