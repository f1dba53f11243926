package ledger

import (
	"errors"
	"math"
	"time"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

// Keep is what stays for a guest when it has ended: what it took at its last start that got
// all of its pages, and which of them were added for it.
type Keep struct {
	Seconds int64        `json:"seconds"`
	Takes   []pool.Take  `json:"takes"`
	Grants  []pool.Grant `json:"grants"`
}

// KeepFor has what a guest has now stay for it when it ends, for so long; 0: it goes with the
// guest. Of a guest that has ended, it is freed then: given is that in bytes.
func (l *Ledger) KeepFor(uuid string, keep pages.Keep) (given int64, err error) {
	i := l.index(uuid)
	if i < 0 || l.claims[i].Phase == Owed || keep == 0 && l.claims[i].Phase == Starting && l.claims[i].Keep == nil {
		return 0, nil
	}
	c, err := l.load(i)
	if errors.Is(err, errUnusable) {
		return 0, nil
	}
	switch {
	case err != nil:
		return 0, err
	case keep == 0 && c.Phase == Kept:
		given, _, err := l.Free(uuid)
		return given, err
	case keep == 0 && c.Keep == nil:
		return 0, nil
	case keep == 0:
		c.Keep = nil
	case c.Keep != nil && (c.Phase == InUse || c.Has != nil), c.Phase == Kept: // it may have grown since its start
		k := *c.Keep
		k.Seconds = int64(time.Duration(keep) / time.Second)
		c.Keep = &k
	case c.Has != nil:
		return 0, nil // it has grown: what it takes at its start is not known any more
	default:
		for _, g := range c.Armed {
			if err := l.disarm(g.Size); err != nil {
				return 0, err
			}
		}
		if c, err = l.load(i); err == nil && c.Phase == Starting {
			c, err = l.needed(i, c)
		}
		if err != nil {
			return 0, err
		}
		c.Keep = &Keep{int64(time.Duration(keep) / time.Second), c.Takes, c.Grants}
	}
	if c.Phase == Kept {
		c.stay()
	}
	return 0, l.save(i, c)
}

// needed frees what was kept for a guest that takes less now, or pages of another size.
func (l *Ledger) needed(i int, c Claim) (Claim, error) {
	for _, size := range pool.SizesOf(c.Grants) {
		var takes int64
		for _, take := range c.Takes {
			if take.Size == size {
				takes += take.Pages
			}
		}
		if excess := pool.Done(c.Grants, size) - takes; excess > 0 {
			if _, _, err := l.shed(i, c, size, nil, excess); err != nil {
				return c, err
			}
			c = l.claims[i]
		}
	}
	return c, nil
}

// stay makes a claim that of a guest that has ended, whose pages are kept.
func (c *Claim) stay() {
	c.Phase, c.PID, c.Owner, c.Takes, c.Has, c.Resize = Kept, 0, process.Process{}, c.Keep.Takes, nil, nil
	c.Grown, c.Mapped = nil, nil
	c.Until = 0
	if c.Keep.Seconds < math.MaxInt64/int64(time.Second) {
		c.Until = uptime() + c.Keep.Seconds
	}
}

// keep records that a guest has ended whose pages are kept, and frees what was added for it
// since its start.
func (l *Ledger) keep(i int, c Claim) (given, owed int64, err error) {
	c.stay()
	// Under its old name it is that of a guest that has ended as well, should this run be killed.
	if err := l.save(i, c); err != nil {
		return 0, 0, err
	}
	if err := l.rename(i, c); err != nil {
		return 0, 0, err
	}
	for _, size := range pool.SizesOf(c.Grants) {
		more, waits, err := l.shed(i, l.claims[i], size, nil, pool.Done(c.Grants, size)-pool.Done(c.Keep.Grants, size))
		if given, owed = given+more, owed+waits; err != nil {
			return given, owed, err
		}
	}
	return given, owed, nil
}

// Free is Release for a guest whose pages are kept no longer.
func (l *Ledger) Free(uuid string) (given, owed int64, err error) {
	i := l.index(uuid)
	if i < 0 {
		return 0, 0, nil
	}
	c, err := l.load(i)
	if errors.Is(err, errUnusable) {
		return 0, 0, nil
	}
	if err == nil {
		c.Keep = nil
		err = l.save(i, c)
	}
	if err != nil {
		return 0, 0, err
	}
	return l.Release(uuid)
}

// pendingKept is what is kept for a guest that has ended: it takes all of it when it starts.
func (c Claim) pendingKept() (pending []pool.Pending) {
	for _, take := range c.Takes {
		pending = append(pending, pool.Pending{Take: take, Unmapped: take.Pages, Unfaulted: take.Pages, For: c.Name, Kept: true})
	}
	return pending
}
