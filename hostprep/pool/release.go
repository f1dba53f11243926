package pool

import (
	"errors"
	"slices"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// Release frees what was added for a guest, and returns how many bytes were freed and how
// many must wait because another program uses them. A guest without a claim has none.
func (l *Ledger) Release(uuid string) (given, owed int64, err error) {
	i := l.index(uuid)
	if i < 0 {
		return 0, 0, nil
	}
	if given, owed, err = l.release(uuid); err != nil {
		return given, owed, err
	}
	// Pages promised to this guest may be ones that other claims owe.
	for _, c := range slices.Clone(l.claims) {
		if c.Phase == Owed && c.UUID != uuid {
			if err := l.settle(c.UUID); err != nil {
				return given, owed, err
			}
		}
	}
	return given, owed, nil
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
	c.Takes, c.Phase, c.PID = nil, Owed, 0
	if err := l.rename(i, c); err != nil {
		return 0, 0, err
	}
	for _, g := range c.Grants {
		given += g.Pages * int64(g.Size)
	}
	given += l.left(c.Armed)
	c.Armed = nil // the kernel freed it when QEMU ended
	kept, turned, err := release(l.root, c.Grants, l.Pending(""), func(grants []Grant) error {
		c.Grants = grants
		return l.saveChange(i, c)
	})
	given -= turned
	for at, g := range kept {
		given -= g.Pages * int64(g.Size)
		// Pages that another program has taken out of the pool are not owed any more.
		if p, err := readPool(l.root, g.Node, g.Size); err == nil {
			kept[at] = g.of(min(g.Pages, max(0, p.Persistent()-l.held(c.UUID, g.Node, g.Size))))
			l.leave(g.Node, g.Size, g.Pages-kept[at].Pages)
		}
		owed += kept[at].Pages * int64(g.Size)
	}
	switch {
	case err != nil:
	case owed == 0:
		err = l.remove(i)
	case len(kept) > 0:
		c.Grants = kept
		err = l.save(i, c)
	}
	return given, owed, err
}

// left is what of the pages that leave with QEMU has left the pools, in bytes: they were
// surplus, and what is surplus still is somebody's.
func (l *Ledger) left(armed []Grant) (bytes int64) {
	there := map[[2]int64]int64{}
	for _, g := range armed {
		key := [2]int64{int64(g.Node), int64(g.Size)}
		if _, ok := there[key]; !ok {
			p, err := readPool(l.root, g.Node, g.Size)
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
	for _, c := range l.claims {
		if c.UUID == except {
			continue
		}
		if c, err := l.read(c); err == nil {
			for _, g := range c.Grants {
				if g.Node == node && g.Size == size {
					held += g.Pages
				}
			}
		}
	}
	return held
}

// release takes grants out of the pools and returns those that had to stay: only pages that
// nobody uses, that no mapping was promised, and that no starting guest waits for are freed.
// Of what another program uses as much becomes surplus as was before; turned is that in bytes.
// record is called with what is left before each change of a pool, and after; with errMoved
// from it the pool is left alone.
func release(root hostfs.Root, grants []Grant, pending []Pending, record func([]Grant) error) (kept []Grant, turned int64, err error) {
	for i, grant := range grants {
		with := func(left []Grant) []Grant { return slices.Concat(kept, left, grants[i+1:]) }
		note := func(left []Grant) error { return record(with(left)) }
		give, without := releasable(root, grant, pending)
		left, err := lower(root, grant, give, without, note)
		if err == nil && len(left) == 1 && left[0].Surplus > 0 { // the kernel has taken all that it should
			was := left[0].Pages
			give, without = turnable(root, left[0])
			left, err = lower(root, left[0], give, without, note)
			turned += (was - pagesIn(left)) * int64(grant.Size)
		}
		if err != nil && !errors.Is(err, errMoved) {
			return with(left), turned, err
		}
		kept = append(kept, left...)
	}
	return kept, turned, record(kept)
}

// lower takes pages of a grant out of its pool, down to the persistent count without, and
// returns what is left of the grant; all of it with errMoved.
func lower(root hostfs.Root, grant Grant, give, without int64, record func([]Grant) error) (left []Grant, err error) {
	if give == 0 {
		return some(grant), nil
	}
	going := grant.of(give)
	going.Without = &without
	left = some(grant.rest(give))
	both := append(slices.Clip(left), going)
	var after Pool
	if err = record(both); err == nil {
		after, err = setPersistent(root, grant.Node, grant.Size, without+give, without)
	}
	if errors.Is(err, errMoved) {
		return some(grant), err
	}
	if err != nil {
		return both, err
	}
	going.Without = nil
	return append(left, some(going.of(min(give, max(0, after.Persistent()-without))))...), nil
}

// some are the grants with any pages.
func some(grants ...Grant) []Grant {
	return slices.DeleteFunc(grants, func(g Grant) bool { return g.Pages == 0 })
}

func pagesIn(grants []Grant) (n int64) {
	for _, g := range grants {
		n += g.Pages
	}
	return n
}

// releasable is how many pages of a grant can be freed now, and the
// persistent count that the pool then has.
func releasable(root hostfs.Root, grant Grant, pending []Pending) (give, without int64) {
	state, err := Read(root)
	if err != nil {
		return 0, 0
	}
	p, ok := state.Pool(grant.Node, grant.Size)
	global, _ := state.Global(grant.Size)
	if !ok {
		return 0, 0
	}
	here, all := p.Free-global.Reserved, global.Free-global.Reserved
	for _, g := range pending {
		// What is reserved for a program has pages of its own, which no guest gives back.
		if g.Size != grant.Size || g.For != "" {
			continue
		}
		all -= g.Unmapped
		if slices.Contains(g.Nodes, grant.Node) {
			here -= g.Unfaulted
		}
	}
	give = max(0, min(grant.Pages, here, all, p.Persistent()))
	return give, p.Persistent() - give
}
