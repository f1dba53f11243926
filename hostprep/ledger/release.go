package ledger

import (
	"errors"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Release frees what was added for a guest, unless it is kept, and returns how many bytes were freed and how
// many must wait because another program uses them. A guest without a claim has none.
func (l *Ledger) Release(uuid string) (given, owed int64, err error) {
	i := l.index(uuid)
	if i < 0 {
		return 0, 0, l.heldByNewer(uuid)
	}
	c, err := l.load(i)
	switch {
	case errors.Is(err, errNewer):
		return 0, 0, l.heldByNewer(uuid)
	case errors.Is(err, errUnusable):
		return 0, 0, nil
	case err != nil:
		return 0, 0, err
	case c.Keep == nil:
		given, owed, err = l.release(uuid)
	case c.Phase != Kept:
		given, owed, err = l.keep(i, c)
	}
	if err == nil {
		err = l.reassemble()
	}
	if err != nil {
		return given, owed, err
	}
	// Pages promised to this guest may be ones that other claims owe.
	return given, owed, l.settleOwed(uuid)
}

// release turns a claim into one that is owed, and frees what can be freed now. given is
// what has left the pools in bytes, now or with QEMU.
func (l *Ledger) release(uuid string) (given, owed int64, err error) {
	if err := l.findRewrites(); err != nil {
		return 0, 0, err
	}
	i := l.index(uuid)
	c, err := l.load(i)
	if errors.Is(err, errUnusable) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if len(c.Grants)+len(c.Demoted) == 0 { // nothing to free, and so nothing to put down before
		return l.left(c.Armed), 0, l.remove(i)
	}
	c.Takes, c.Keep, c.Phase, c.PID = nil, nil, Owed, 0
	if err := l.rename(i, c); err != nil {
		return 0, 0, err
	}
	for _, g := range c.Grants {
		given += g.Pages * int64(g.Size)
	}
	given += l.left(c.Armed)
	c.Armed = nil // the kernel freed it when QEMU ended
	kept, turned, err := pool.Release(l.root, c.Grants, l.Pending(""), func(grants []pool.Grant) error {
		c.Grants = grants
		return l.saveChange(i, c)
	})
	given -= turned
	for at, g := range kept {
		given -= g.Pages * int64(g.Size)
		if g.Without != nil { // the kernel is not done with it
			p, _ := pool.ReadPool(l.root, g.Node, g.Size)
			owed += l.there(g, p) * int64(g.Size)
			continue
		}
		// Pages that another program has taken out of the pool are not owed any more.
		if p, err := pool.ReadPool(l.root, g.Node, g.Size); err == nil {
			kept[at] = g.Of(min(g.Pages, max(0, p.Persistent()-l.held(c.UUID, g.Node, g.Size))))
			l.leave(g.Node, g.Size, g.Pages-kept[at].Pages)
		}
		owed += kept[at].Pages * int64(g.Size)
	}
	switch {
	case err != nil:
	case pool.PagesIn(kept) == 0 && len(c.Demoted) == 0: // else see reassemble
		err = l.remove(i)
	case len(kept) > 0:
		c.Grants = kept
		err = l.save(i, c)
	}
	return given, owed, err
}

// left is what of the pages that leave with QEMU has left the pools, in bytes: they were
// surplus, and what is surplus still is somebody's.
func (l *Ledger) left(armed []pool.Grant) (bytes int64) {
	there := map[[2]int64]int64{}
	for _, g := range armed {
		key := [2]int64{int64(g.Node), int64(g.Size)}
		if _, ok := there[key]; !ok {
			p, err := pool.ReadPool(l.root, g.Node, g.Size)
			if err != nil {
				continue
			}
			there[key] = p.Surplus
		}
		gone := max(0, g.Pages-there[key])
		there[key] -= g.Pages - gone
		bytes += min(gone, g.Pages-g.Surplus) * int64(g.Size)
	}
	return bytes
}

// held says what other claims have added to a pool.
func (l *Ledger) held(except string, node int, size pages.Size) (held int64) {
	held = l.newerHas(pool.Pool{Node: node, Size: size})
	for _, c := range l.claims {
		if c.UUID == except {
			continue
		}
		if c, err := l.read(c); err == nil {
			held += pool.DoneOn(c.Grants, node, size)
		}
	}
	return held
}
