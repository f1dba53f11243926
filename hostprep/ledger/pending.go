package ledger

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// pendings is what each of the claims will yet take, or holds back; nothing for the guests in
// except. These are about to start: a look at all processes for their QEMU, in each run of the
// hook, would find none.
func pendings(root hostfs.Root, claims []Claim, except ...string) [][]pool.Pending {
	// A QEMU may have begun since the ledger was opened.
	now := sync.OnceValue(func() *process.Guests { return process.NewGuests(root) })
	rests := make([]rest, len(claims))
	var promised pool.State // where a guest moves in
	for i, c := range claims {
		if c.Phase != Starting || slices.Contains(except, c.UUID) {
			continue
		}
		if c.PID == 0 {
			c.PID, _ = now().Find(c.guest()) // if that is not known the claim counts in full
		}
		moves := c.PID != 0 && now().MovesIn(c.guest())
		if moves && promised.Globals == nil {
			promised, _ = pool.Read(root) // before it takes some of them
		}
		rests[i] = c.rest(root)
		rests[i].moves = moves
	}
	limitPromised(rests, promised)
	held := heldBack(root, claims)
	all := make([][]pool.Pending, len(claims))
	for i, c := range claims {
		if slices.Contains(except, c.UUID) {
			continue
		}
		switch c.Phase {
		case Reserved:
			all[i] = held[c.UUID]
		case Kept:
			all[i] = c.pendingKept()
		case Starting:
			all[i] = c.split(rests[i])
		}
	}
	return all
}

// rest is how many pages of each size a starting guest will still take, and how many of these
// the kernel has not promised to it.
type rest struct {
	unmapped, unfaulted map[pages.Size]int64
	moves               bool // in, from another host
}

// limitPromised holds what guests that move in were promised to what the kernel has promised to
// anybody. It promises to QEMU what QEMU maps, but not once more what QEMU gives up again: a
// guest that may be post-copied first gives up all that it has.
func limitPromised(rests []rest, state pool.State) {
	promised := map[pages.Size]int64{}
	for _, r := range rests {
		for size := range r.unfaulted {
			promised[size] += r.unfaulted[size] - r.unmapped[size]
		}
	}
	for size, n := range promised {
		g, known := state.Global(size)
		excess := max(0, n-g.Reserved)
		for _, r := range rests {
			if more := min(excess, r.unfaulted[size]-r.unmapped[size]); known && r.moves && more > 0 {
				r.unmapped[size] += more
				excess -= more
			}
		}
	}
}

// pending is what a starting guest will still take; nothing once it has all its pages.
func (c Claim) pending(root hostfs.Root) []pool.Pending { return c.split(c.rest(root)) }

func (c Claim) rest(root hostfs.Root) rest {
	var mapped, faulted map[pages.Size]int64
	if c.PID != 0 {
		var err error
		if mapped, faulted, err = process.Hugetlb(root, c.PID); errors.Is(err, hostfs.ErrHeld) {
			// If it counted in full, as many as it has would be added for the next guest.
			most := map[pages.Size]int64{}
			for _, take := range slices.Concat(c.Takes, c.Has) {
				most[take.Size] += take.Pages
			}
			mapped = process.HugetlbInAll(root, c.PID, most)
			faulted = maps.Clone(mapped)
		}
	}
	r := rest{unmapped: map[pages.Size]int64{}, unfaulted: map[pages.Size]int64{}}
	for _, take := range c.takesNow() {
		r.unmapped[take.Size] += take.Pages
		r.unfaulted[take.Size] += take.Pages
	}
	for _, had := range c.Has {
		if mapped != nil { // else nothing is known of QEMU, and the claim counts in full
			mapped[had.Size] -= had.Pages
			faulted[had.Size] -= had.Pages
		}
	}
	for size := range r.unfaulted {
		r.unmapped[size] = max(0, r.unmapped[size]-mapped[size])
		r.unfaulted[size] = max(0, r.unfaulted[size]-faulted[size])
	}
	return r
}

// split shares the rest among the claim's takes.
func (c Claim) split(r rest) []pool.Pending {
	var pending []pool.Pending
	// What is reserved for its growth it takes last.
	takes := c.takesNow()
	slices.SortStableFunc(takes, func(a, b pool.Take) int {
		switch {
		case a.Growth == b.Growth:
			return 0
		case a.Growth:
			return -1
		}
		return 1
	})
	for _, take := range takes {
		// Which of its takes the guest has done is not known: each may still be to
		// come, but in sum no more than the rest.
		p := pool.Pending{Take: take, Unmapped: min(take.Pages, r.unmapped[take.Size]), Unfaulted: min(take.Pages, r.unfaulted[take.Size])}
		r.unmapped[take.Size] -= p.Unmapped
		if take.Growth {
			p.For, p.Kept = c.Name, true
			r.unfaulted[take.Size] -= p.Unfaulted
		}
		if p.Unfaulted > 0 {
			pending = append(pending, p)
		}
	}
	return pending
}

// LastingOf is how many pages of each size a process has mapped, touched or not: DIMMs and what
// it began with, but not virtio-mem's.
func LastingOf(root hostfs.Root, pid int) (map[pages.Size]int64, error) {
	text, err := root.ReadProcess(pid, "smaps")
	return smaps.Lasting(smaps.Parse(text)), err
}
