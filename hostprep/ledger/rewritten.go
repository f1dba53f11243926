package ledger

import (
	"fmt"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	"vmhuge/internal/sysctl"
)

// Other programs set a pool's count at any time: sysctl --system, an administrator, a
// restart of systemd-sysctl. The number says nothing of what vmhuge has added, so that
// none of the pages that it asks for may go with a guest. The ledger knows the count that
// it expects; a pool with another one was set, and has nothing more of vmhuge's.
//
// A program that adds to the count that it finds, or takes pages of its own back, can't be
// told from that. What vmhuge had added then stays: rather a page too many than one of
// somebody's taken.

// ourSysctlFile is what vmhuge prepare --persist writes.
const ourSysctlFile = "/etc/sysctl.d/99-vmhuge.conf"

// sysctlHasSet returns the file that sets vm.nr_hugepages, which is the count of the default
// size on all nodes together, if the pools have just that; else "".
func sysctlHasSet(root hostfs.Root, state pool.State, size pages.Size) string {
	ofDefault, err := sysctl.DefaultSize(root)
	if err != nil || ofDefault != size {
		return ""
	}
	for _, count := range sysctl.HugePages(root) {
		if state.Persistent(size) == count.Pages {
			return count.File
		}
	}
	return ""
}

// movedTries is how often a change is tried beside a program that sets the pools.
const movedTries = 3

// Rewrite is a pool that another program has set.
type Rewrite struct {
	Node    int
	Size    pages.Size
	Was, Is int64 // persistent counts
	Lost    int64 // pages that vmhuge had added and no longer counts as its own
	Sysctl  string
}

func (r Rewrite) String() string {
	by := "a program other than vmhuge"
	if r.Sysctl != "" {
		by = "sysctl, as " + r.Sysctl + " asks,"
	}
	return fmt.Sprintf("%s has set the pages of %s on node %d from %d to %d: %d that vmhuge had added no longer count as its own",
		by, r.Size, r.Node, r.Was, r.Is, r.Lost)
}

// findRewrites finds the pools that were set by another program, and takes out of the
// claims what such a program may count as its own.
func (l *Ledger) findRewrites() error {
	var state pool.State
	if len(l.counts.pools) > 0 {
		var err error
		if state, err = pool.Read(l.root); err != nil {
			return err
		}
	}
	if err := l.followMoves(state); err != nil {
		return err
	}
	var set []Rewrite
	bySysctl := map[pages.Size]string{} // which sets all nodes
	forHost := map[pages.Size]bool{}    // a number for all nodes
	for i := range l.counts.pools {
		c := &l.counts.pools[i]
		p, ok := state.Pool(c.Node, c.Size)
		if !ok {
			continue // a node that is gone
		}
		if l.stuck(c.Size) != nil {
			continue // it may change at any time
		}
		if l.counts.crashed || len(l.counts.unfinished) > 0 {
			added, more, fewer, _ := l.addedTo(p)
			c.Persistent = c.Others + added
			l.counts.changed = true
			if p.Persistent() >= c.Persistent-fewer && p.Persistent() <= c.Persistent+more {
				continue
			}
		}
		r := Rewrite{Node: c.Node, Size: c.Size, Was: c.Persistent, Is: p.Persistent()}
		if r.Is != r.Was {
			bySysctl[c.Size] = sysctlHasSet(l.root, state, c.Size)
			forHost[c.Size] = forHost[c.Size] || pool.Marked(l.root, c.Node, c.Size)
		}
		set = append(set, r)
	}
	l.counts.crashed = false
	for _, r := range set {
		if r.Sysctl = bySysctl[r.Size]; r.Is == r.Was && r.Sysctl == "" && !forHost[r.Size] {
			continue
		}
		p, _ := state.Pool(r.Node, r.Size)
		if err := l.rewritten(r, p); err != nil {
			return err
		}
	}
	return nil
}

// rewritten takes what was added to a pool out of the claims. In the number of vmhuge's
// own file for sysctl are the pages that were prepared.
func (l *Ledger) rewritten(r Rewrite, p pool.Pool) error {
	var stays int64
	for i := range l.claims {
		prepared := l.claims[i].Phase == Prepared && r.Sysctl == ourSysctlFile
		c, err := l.read(l.claims[i])
		if err != nil {
			continue // one that can't be used is seen to elsewhere
		}
		var lost int64
		for at := range c.Grants {
			g := &c.Grants[at]
			if g.Node != r.Node || g.Size != r.Size {
				continue
			}
			keep := int64(0)
			if prepared {
				keep = min(g.Pages, p.Persistent()-stays)
				stays += keep
			}
			lost += g.Pages - keep
			*g = g.Of(keep)
			g.Without = nil
		}
		for at := range c.Armed {
			if g := &c.Armed[at]; g.Node == r.Node && g.Size == r.Size && g.Pages > p.Surplus {
				lost += g.Pages - p.Surplus // some of the guest's pages stay now
				*g = g.Of(p.Surplus)
			}
		}
		if lost == 0 {
			continue
		}
		none := func(g pool.Grant) bool { return g.Pages == 0 }
		c.Grants, c.Armed = slices.DeleteFunc(c.Grants, none), slices.DeleteFunc(c.Armed, none)
		if err := l.save(i, c); err != nil {
			return err
		}
		r.Lost += lost
	}
	// What a newer vmhuge has added only it can take out of its claims: it is to find the pool so.
	if c := l.counts.of(r.Node, r.Size); c != nil && len(l.newer) == 0 {
		c.Persistent, c.Others = p.Persistent(), p.Persistent()-stays
		l.counts.changed, l.counts.stale = true, true
	}
	if r.Lost > 0 {
		l.SetAside = append(l.SetAside, r.String())
	}
	return nil
}
