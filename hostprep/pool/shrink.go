package pool

import (
	"errors"
	"slices"

	"vmhuge/internal/hostfs"
)

// Another program may use pages beyond a pool's count: surplus, which the kernel frees when
// the program ends. A pool that grows first takes these: they become persistent, and part of
// the grant. When it is released they become surplus again, if they are still in use;
// otherwise they would stay in the pool after the program has ended.

// Release takes grants out of the pools and returns those that had to stay: only pages that
// nobody uses, that no mapping was promised, and that no starting guest waits for are freed.
// Of what another program uses as much becomes surplus as was before; turned is that in bytes.
// record is called with what is left before each change of a pool, and after; with ErrMoved
// from it the pool is left alone. Of what the kernel may yet free there is a grant with Without.
func Release(root hostfs.Root, grants []Grant, pending []Pending, record func([]Grant) error) (kept []Grant, turned int64, err error) {
	for i, grant := range grants {
		with := func(left []Grant) []Grant { return slices.Concat(kept, left, grants[i+1:]) }
		note := func(left []Grant) error { return record(with(left)) }
		if grant.Without != nil || StillWriting(root, grant.Size) != nil {
			kept = append(kept, grant) // the kernel is not done with it, or could not begin
			continue
		}
		give, without := releasable(root, grant, pending)
		left, err := lower(root, grant, give, without, note)
		if err == nil && len(left) == 1 && left[0].Surplus > 0 { // the kernel has taken all that it should
			was := left[0].Pages
			give, without = turnable(root, left[0])
			left, err = lower(root, left[0], give, without, note)
			turned += (was - PagesIn(left)) * int64(grant.Size)
		}
		if err != nil && !errors.Is(err, ErrMoved) && !errors.As(err, new(*Stuck)) {
			return with(left), turned, err
		}
		kept = append(kept, left...)
	}
	return kept, turned, record(kept)
}

// lower takes pages of a grant out of its pool, down to the persistent count without, and
// returns what is left of the grant; all of it with ErrMoved.
func lower(root hostfs.Root, grant Grant, give, without int64, record func([]Grant) error) (left []Grant, err error) {
	if give == 0 {
		return Some(grant), nil
	}
	going := grant.Of(give)
	going.Without = &without
	left = Some(grant.Rest(give))
	both := append(slices.Clip(left), going)
	var after Pool
	if err = record(both); err == nil {
		after, err = SetPersistent(root, grant.Node, grant.Size, without+give, without)
	}
	if errors.Is(err, ErrMoved) {
		return Some(grant), err
	}
	if err != nil {
		return both, err
	}
	going.Without = nil
	return append(left, Some(going.Of(min(give, max(0, after.Persistent()-without))))...), nil
}

// Some are the grants with any pages.
func Some(grants ...Grant) []Grant {
	return slices.DeleteFunc(grants, func(g Grant) bool { return g.Pages == 0 })
}

// PagesIn is how many pages grants are.
func PagesIn(grants []Grant) (n int64) {
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
		if g.Size != grant.Size || g.For != "" && !g.Kept {
			continue
		}
		all -= g.Unmapped
		if slices.Contains(g.Nodes, grant.Node) {
			here -= g.Unfaulted
		}
	}
	give = max(0, min(grant.Pages, here, all, p.Persistent()))
	if reserved, err := ReadReserved(root, grant.Size); err != nil || reserved < 0 && global.Total-global.Free < -reserved {
		give = 0 // the kernel would make them surplus, and free none
	}
	return give, p.Persistent() - give
}

// turnable is how many pages of a grant can be surplus again, and the persistent count that the
// pool then has. A free page, which may be promised, the kernel would take instead.
func turnable(root hostfs.Root, grant Grant) (turn, without int64) {
	p, err := ReadPool(root, grant.Node, grant.Size)
	if err != nil || p.Free > 0 {
		return 0, 0
	}
	turn = min(grant.Surplus, p.Persistent())
	return turn, p.Persistent() - turn
}
