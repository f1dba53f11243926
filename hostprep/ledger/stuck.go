package ledger

import (
	"fmt"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// A write of a pool in which the kernel still waits, and without which vmhuge has gone on, may
// change the pool at any time, or not at all. Until it ends, the grants that are on record for it
// stay as they are, and nothing is concluded from the counts of that size.

// stuck is such a write of pages of a size; nil: none.
func (l *Ledger) stuck(size pages.Size) *pool.Stuck {
	for _, s := range l.writes {
		if s.Size == size { // what has been left alone because of it stays so
			return s
		}
	}
	s := pool.AwaitWrite(l.root, size)
	if s != nil {
		l.writes = append(l.writes, s)
		l.SetAside = append(l.SetAside, fmt.Sprintf("the pools of pages of %s stay as they are: %s", s.Size, s))
	}
	return s
}

// awaited says whether the kernel is not done yet with what a claim has on record.
func (l *Ledger) awaited(c Claim) bool {
	for _, g := range c.Grants {
		if g.Without != nil && l.stuck(g.Size) != nil {
			return true
		}
	}
	for _, d := range c.Demoted {
		if d.From != nil && l.stuck(d.Size) != nil {
			return true
		}
	}
	return false
}

// there is how many pages the pool has of a grant that was being changed. What other claims have
// added since it was recorded does not count.
func (l *Ledger) there(g pool.Grant, p pool.Pool) int64 {
	if known := l.counts.of(g.Node, g.Size); known != nil {
		g.Without = &known.Persistent
	}
	return g.There(p)
}
