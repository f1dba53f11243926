package ledger

import (
	"cmp"
	"errors"
	"slices"

	"vmhuge/hostprep/pool"
)

// reconcile settles what a crash left: changes that were cut off, starting guests whose owner
// is dead, and claims whose guest is gone.
func (l *Ledger) reconcile() error {
	pids := make([]int, len(l.claims))
	guestsOf := make(map[int]int, len(l.claims)) // claims that name a process
	for i := range l.claims {
		pids[i] = l.claims[i].PID
		guestsOf[pids[i]]++
	}
	var unclear []string
	for i, runs := range l.guests.RunQEMU(pids) {
		c := &l.claims[i]
		if c.UUID == l.leaving && (c.Phase == Starting || c.Phase == InUse) && !l.counts.unfinished[c.UUID] { // Release sees to it
			continue
		}
		// The pid of an ended QEMU may be another process's now, or another guest's. Of a guest
		// that runs the trim may have been cut off.
		if c.Phase != InUse || l.counts.unfinished[c.UUID] || guestsOf[c.PID] != 1 || !runs {
			unclear = append(unclear, c.UUID)
		}
	}
	for _, uuid := range unclear {
		if err := l.look(uuid); err != nil {
			return err
		}
	}
	// Last, once it is known what starting guests will still take.
	return l.settleOwed("")
}

// settleOwed settles all claims that are owed, but a guest's.
func (l *Ledger) settleOwed(except string) error {
	for _, c := range slices.Clone(l.claims) {
		if c.Phase == Owed && c.UUID != except {
			if err := l.settle(c.UUID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Audit looks closer than Open does: the pid of an ended QEMU may be that of a QEMU now
// of which the ledger knows nothing, and a guest that runs may have given up memory to
// another program than vmhuge.
func (l *Ledger) Audit() error {
	for _, c := range slices.Clone(l.claims) {
		if c.Phase != InUse && (c.Phase != Starting || c.PID == 0) {
			continue
		}
		if runs, held := l.guests.RunsAs(c.UUID, c.PID); runs || held {
			if runs {
				if err := l.Trim(c.UUID); err != nil {
					return err
				}
			}
			continue
		}
		if err := l.look(c.UUID); err != nil {
			return err
		}
		if i := l.index(c.UUID); i >= 0 && l.claims[i].Phase == Owed {
			if err := l.settle(c.UUID); err != nil {
				return err
			}
		}
	}
	return nil
}

// look reads a claim and records its real phase.
func (l *Ledger) look(uuid string) error {
	i := l.index(uuid)
	c, err := l.load(i)
	if errors.Is(err, errUnusable) {
		return nil
	}
	if err != nil {
		return err
	}
	was := c.Phase
	c.place(l.root, l.guests)
	switch {
	case c.Phase == InUse && (was == Starting || was == Kept):
		return l.use(i, c)
	case c.Phase == Kept && was != Kept:
		_, _, err := l.keep(i, c)
		return err
	}
	if err := l.rename(i, c); err != nil {
		return err
	}
	if c.Phase == Starting && c.Resize != nil && !c.Resize.Owner.Alive(l.root) {
		return l.abandoned(c)
	}
	if c.Phase == Starting && c.PID != 0 && c.reservesGrowth() {
		return l.count(i, c)
	}
	return nil
}

// load reads a claim's file, and takes it out of the ledger if it can't be used.
func (l *Ledger) load(i int) (Claim, error) {
	c, err := l.read(l.claims[i])
	switch {
	case errors.Is(err, errOtherBoot): // its pages went with the reboot
		return c, cmp.Or(l.remove(i), errUnusable)
	case errors.Is(err, errNewer):
		l.leaveAlone(c)
		return c, err
	case errors.Is(err, errUnusable):
		return c, cmp.Or(l.setAside(i, err), errUnusable)
	case err != nil:
		return c, err
	}
	if l.finish(&c) {
		err = l.save(i, c)
	}
	return c, err
}

// settle gives back what a claim owes.
func (l *Ledger) settle(uuid string) error {
	i := l.index(uuid)
	s := Settlement{UUID: uuid, Name: l.claims[i].Name}
	var err error
	if s.Given, _, err = l.release(uuid); s.Given > 0 {
		l.Settled = append(l.Settled, s)
	}
	if l.index(uuid) < 0 {
		l.Gone = append(l.Gone, s)
	}
	return err
}

// finish corrects grants that were recorded before a change of the pool which their writer
// did not live to complete: the pages really added are what the pool has above Without.
// What other programs have changed since can't be told apart. While the kernel is not done the
// grants stay as they are.
func (l *Ledger) finish(c *Claim) (changed bool) {
	if l.awaited(*c) {
		return false
	}
	for i := range c.Grants {
		g := &c.Grants[i]
		if g.Without == nil {
			continue
		}
		if p, err := pool.ReadPool(l.root, g.Node, g.Size); err == nil {
			*g = g.Of(l.there(*g, p))
			g.Without = nil
			changed = true
		}
	}
	c.Grants = slices.DeleteFunc(c.Grants, func(g pool.Grant) bool { return g.Pages == 0 })
	return l.finishDemoted(c) || changed
}
