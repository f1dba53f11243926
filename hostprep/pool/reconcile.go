package pool

import (
	"cmp"
	"errors"
	"slices"
)

// reconcile sets right what a crash left: a starting guest whose owner is dead,
// and any claim whose guest is gone.
func (l *Ledger) reconcile() error {
	for _, c := range slices.Clone(l.claims) {
		if c.Phase == InUse && l.guests.exists(c.PID) {
			continue
		}
		if err := l.look(c.UUID); err != nil {
			return err
		}
	}
	// Last, when it is known what guests that start will yet take.
	for _, c := range slices.Clone(l.claims) {
		if c.Phase == Owed {
			if err := l.settle(c.UUID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Audit looks closer than Open does: the number of a process that is gone may
// be another's by now.
func (l *Ledger) Audit() error {
	for _, c := range slices.Clone(l.claims) {
		if c.Phase != InUse {
			continue
		}
		if runs, held := l.guests.runsAs(c.UUID, c.PID); runs || held {
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

// look reads a claim and writes down where it really stands.
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
	if c.place(l.root, l.guests); c.Phase == InUse && was == Starting {
		return l.use(i, c)
	}
	return l.rename(i, c)
}

// load reads a claim's file. One that can't be used is out of the ledger then.
func (l *Ledger) load(i int) (Claim, error) {
	c, err := l.read(l.claims[i])
	switch {
	case errors.Is(err, errOtherBoot): // its pages went with the reboot
		return c, cmp.Or(l.remove(i), errUnusable)
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
	if s.Given, _, err = l.release(i); s.Given > 0 {
		l.Settled = append(l.Settled, s)
	}
	return err
}

// finish corrects grants that were written down before the pool was changed
// and whose writer died in between: what is really there is what the pool has
// above the count without it. The lock has kept other writers of ours away; what
// others have done since can't be told apart.
func (l *Ledger) finish(c *Claim) (changed bool) {
	for i := range c.Grants {
		g := &c.Grants[i]
		if g.Without == nil {
			continue
		}
		if p, err := readPool(l.root, g.Node, g.Size); err == nil {
			g.Pages, g.Without = min(g.Pages, max(0, p.Persistent()-*g.Without)), nil
			changed = true
		}
	}
	c.Grants = slices.DeleteFunc(c.Grants, func(g Grant) bool { return g.Pages == 0 })
	return changed
}
