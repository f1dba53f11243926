package main

import (
	"context"
	"slices"

	"vmhuge/hostprep/ledger"
	"vmhuge/internal/pages"
)

// undoPages ends the reservations for programs, and frees the pages that prepare has added and
// those that guests which are gone have left behind. Pages that running guests use are freed when
// these end. A dry run says how many there are.
func (p *program) undoPages(ctx context.Context, dryRun bool, disabled []string, u *undone) error {
	claims, err := ledger.ReadClaims(p.host().Root)
	if err != nil {
		return err
	}
	claims = slices.DeleteFunc(claims, func(c ledger.Claim) bool { return c.Phase == ledger.Kept && slices.Contains(disabled, c.UUID) })
	u.Reservations = slices.DeleteFunc(ledger.Reservations(p.host().Root, claims), func(r ledger.Reservation) bool { return r.Growth && !r.Kept })
	freed := []ledger.Phase{ledger.Prepared, ledger.Kept, ledger.Owed}
	claims = slices.DeleteFunc(claims, func(c ledger.Claim) bool { return !slices.Contains(freed, c.Phase) })
	if len(claims)+len(u.Reservations) == 0 {
		return nil
	}
	if dryRun {
		for _, c := range claims {
			for _, grant := range c.Grants {
				u.GivenKiB += grant.Pages * grant.Size.KiB()
			}
			u.Reassembled = append(u.Reassembled, c.Demoted...)
		}
		return nil
	}
	book, err := p.openLedger(ctx)
	if err != nil {
		return err
	}
	defer p.closeLedger(book, ledger.PreparedUUID)
	var given, owed int64
	for _, r := range u.Reservations {
		if !r.Kept {
			err = book.Reserve(r.For, nil)
		} else if more, waits, freed := book.Free(r.UUID); freed != nil {
			err = freed
		} else {
			given, owed = given+more, owed+waits
		}
		if err != nil {
			return err
		}
	}
	more, waits, err := book.Release(ledger.PreparedUUID)
	u.Reassembled = book.Reassembled
	for _, s := range book.Settled { // of which closeLedger tells
		given += s.Given
	}
	u.GivenKiB, u.OwedKiB = (given+more)/pages.KiB, (owed+waits)/pages.KiB
	return err
}
