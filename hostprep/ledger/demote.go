package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Demotion is pages that others had added and vmhuge has split into smaller ones.
type Demotion struct {
	Node  int        `json:"node"`
	Size  pages.Size `json:"page_size_kib"` // that they had
	Pages int64      `json:"pages"`
	// From is set while they are being split or put together again: the persistent count
	// that the pool has with all of them in one piece. Pages is the most that can be split then.
	From *int64 `json:"from,omitempty"`
}

func (d Demotion) String() string {
	return fmt.Sprintf("%s on node %d", pages.Count(d.Pages, d.Size), d.Node)
}

func (d Demotion) pool() pool.Grant { return pool.Grant{Node: d.Node, Size: d.Size, Pages: d.Pages} }

// Demote splits free pages of a node into smaller ones, all of them or none, which stay as
// prepared ones do. What of them others had added Release puts together again. If so many are
// not free, or promised to somebody, it is a *pool.Short.
func (l *Ledger) Demote(node int, size pages.Size, n int64) error {
	into, err := pool.DemotedSize(l.root, node, size)
	if err != nil {
		return err
	}
	need := pool.Need{Nodes: []int{node}, Size: size, Pages: n}
	if stuck := l.stuck(size); stuck != nil {
		return &pool.Short{Need: need, Stuck: stuck}
	}
	if err := l.findRewrites(); err != nil {
		return err
	}
	state, err := pool.Read(l.root)
	if err != nil {
		return err
	}
	if free := state.Demotable(node, size, l.Pending("")); free < n {
		return &pool.Short{Need: need, Got: free}
	}
	if err := l.beginPrepared(nil); err != nil {
		return err
	}
	i := l.index(PreparedUUID)
	c := l.claims[i]
	large, _ := state.Pool(node, size)
	small, _ := state.Pool(node, into)
	// Those that vmhuge had prepared itself go first: nobody else misses them.
	going, staying := pool.TakeOff(c.Grants, n, func(g pool.Grant) bool { return g.Node == node && g.Size == size })
	own := pool.PagesIn(going)
	from, before := large.Persistent()-own, small.Persistent()
	c.Grants = append(staying, pool.Some(pool.Grant{Node: node, Size: size, Pages: own, Without: &from, Surplus: 0},
		pool.Grant{Node: node, Size: into, Pages: n * int64(size/into), Without: &before, Surplus: 0})...)
	if n > own {
		c.Demoted = append(slices.Clip(c.Demoted), Demotion{node, size, n - own, &from})
	}
	if err := l.saveChange(i, c); err != nil {
		return err
	}
	split := pool.AsShort(pool.Demote(l.root, node, size, n), need)
	c = l.claims[i]
	l.finish(&c)
	if err := l.save(i, c); err != nil {
		return err
	}
	if len(c.Grants)+len(c.Demoted) == 0 {
		split = errors.Join(split, l.remove(i))
	}
	if after, err := pool.ReadPool(l.root, node, size); err == nil && split == nil && after.Persistent() > large.Persistent()-n {
		split = errors.New("the kernel has split fewer")
	}
	return split
}

// finishDemoted corrects the demotions that a claim had on record before they were made, once
// its grants are right: what is split is what the pool lacks of From.
func (l *Ledger) finishDemoted(c *Claim) (changed bool) {
	for i := range c.Demoted {
		d := &c.Demoted[i]
		p, err := pool.ReadPool(l.root, d.Node, d.Size)
		if d.From == nil || err != nil {
			continue
		}
		d.Pages, d.From, changed = min(d.Pages, max(0, *d.From-p.Persistent())), nil, true
		if count := l.counts.of(d.Node, d.Size); count != nil {
			// What is not vmhuge's is fewer by these, or more again.
			added := l.held(c.UUID, d.Node, d.Size) + pool.DoneOn(c.Grants, d.Node, d.Size)
			count.Others = p.Persistent() - added
			count.Persistent = count.Others + l.recorded(d.Node, d.Size)
			l.counts.changed, l.counts.stale = true, true
		}
	}
	c.Demoted = slices.DeleteFunc(c.Demoted, func(d Demotion) bool { return d.Pages == 0 })
	return changed
}

// recorded is what the claims on record have added to a pool, without what is being changed.
func (l *Ledger) recorded(node int, size pages.Size) int64 {
	added, _, _, _ := l.addedTo(pool.Pool{Node: node, Size: size})
	return added
}

// reassemble puts the pages together again that were split for pages which have all been freed, as
// far as the kernel can. What it can't is not tried again. It may take seconds, and so is not for
// Open, on which libvirt waits in the hook.
func (l *Ledger) reassemble() error {
	i := slices.IndexFunc(l.claims, func(c Claim) bool { return c.UUID == PreparedUUID && c.Phase == Owed })
	if i < 0 {
		return nil
	}
	c, err := l.load(i)
	if errors.Is(err, errUnusable) {
		return nil
	}
	if err != nil || len(c.Grants) > 0 || len(c.Demoted) == 0 {
		return err
	}
	for len(c.Demoted) > 0 {
		d := c.Demoted[0]
		if l.stuck(d.Size) != nil {
			return nil
		}
		p, err := pool.ReadPool(l.root, d.Node, d.Size)
		if err != nil {
			return err
		}
		whole := p.Persistent() + d.Pages
		c.Demoted = slices.Clone(c.Demoted)
		c.Demoted[0].From = &whole
		if err := l.save(i, c); err != nil {
			return err
		}
		for range d.Pages { // one after the other: some are better than none
			need := []pool.Need{{Nodes: []int{d.Node}, Size: d.Size, Pages: 1}}
			if pool.Grow(context.Background(), l.root, need, pool.Effort{}, func([]pool.Grant) error { return nil }) != nil {
				break
			}
		}
		rest := c.Demoted[1:]
		if l.stuck(d.Size) != nil {
			return nil // the next Open finds out what that comes to
		}
		l.finish(&c)
		if len(c.Demoted) > len(rest) {
			left := c.Demoted[0]
			d.Pages -= left.Pages
			l.SetAside = append(l.SetAside, left.String()+", which vmhuge had split, could not be put together again: the kernel finds no contiguous memory")
			c.Demoted = rest
		}
		if d.Pages > 0 {
			l.Reassembled = append(l.Reassembled, d)
		}
		if err := l.save(i, c); err != nil {
			return err
		}
	}
	return l.remove(i)
}
