package ledger

import (
	"context"
	"errors"
	"slices"

	"vmhuge/hostprep/pool"
)

// PreparedUUID is the claim of pages that were added for no particular guest: they stay
// until they are freed or the host reboots. No guest has this UUID: libvirt does not
// accept it.
const PreparedUUID = "00000000-0000-0000-0000-000000000000"

// Prepare adds pages that stay, whoever takes them, all or nothing.
func (l *Ledger) Prepare(ctx context.Context, needs []pool.Need, effort pool.Effort) error {
	if len(needs) == 0 {
		return nil
	}
	if err := l.beginPrepared(nil); err != nil {
		return err
	}
	err := l.grow(ctx, PreparedUUID, needs, effort)
	if i := l.index(PreparedUUID); err != nil && i >= 0 && len(l.claims[i].Grants) == 0 {
		err = errors.Join(err, l.remove(i))
	}
	return err
}

// Adopt records existing pages as prepared ones, to be freed with them: a file of vmhuge's
// made the kernel allocate them at boot.
func (l *Ledger) Adopt(grants []pool.Grant) error {
	if len(grants) == 0 {
		return nil
	}
	return l.beginPrepared(grants)
}

// Keep has pages stay after all that were to be freed with the guests that use them: prepare
// had added them, and undo has been called since.
func (l *Ledger) Keep() error {
	if i := l.index(PreparedUUID); i < 0 || l.claims[i].Phase == Prepared {
		return nil
	}
	return l.beginPrepared(nil)
}

// Prepared returns what was added to stay.
func (l *Ledger) Prepared() []pool.Grant {
	i := l.index(PreparedUUID)
	if i < 0 {
		return nil
	}
	c, err := l.read(l.claims[i])
	if err != nil {
		return nil
	}
	return c.Grants
}

// beginPrepared opens the claim, with the grants that it already has, for more.
func (l *Ledger) beginPrepared(more []pool.Grant) error {
	if err := l.expect(more); err != nil {
		return err
	}
	for _, g := range more {
		l.leave(g.Node, g.Size, -g.Pages) // the pool has them already
	}
	c := Claim{UUID: PreparedUUID, Name: "vmhuge prepare", Phase: Prepared, Takes: []pool.Take{}}
	if i := l.index(c.UUID); i >= 0 {
		old, err := l.load(i)
		if err != nil && !errors.Is(err, errUnusable) {
			return err
		}
		if i = l.index(c.UUID); i < 0 {
			return l.newPrepared(c, more)
		}
		c.Grants, c.Demoted, c.More = slices.Concat(old.Grants, more), old.Demoted, old.More
		if err := l.rename(i, c); err != nil {
			return err
		}
		return l.save(i, c)
	}
	return l.newPrepared(c, more)
}

func (l *Ledger) newPrepared(c Claim, grants []pool.Grant) error {
	c.Grants = grants
	if err := l.write(c); err != nil {
		return err
	}
	l.claims = append(l.claims, c)
	return nil
}
