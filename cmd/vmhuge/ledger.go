package main

import (
	"context"
	"errors"
	"os"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/ledger"
	"vmhuge/internal/pages"
	"vmhuge/lease"
)

func (p *program) openLedger(ctx context.Context) (*ledger.Ledger, error) {
	report, clear := p.progress("the page pools")
	defer clear()
	report("waiting for another program that is changing them", 0, 0)
	return ledger.Open(ctx, p.host().Root)
}

// closeLedger closes the ledger, and tells what it set right for others than the guest.
func (p *program) closeLedger(book *ledger.Ledger, uuid string) {
	book.Close()
	for _, s := range book.Settled {
		if s.UUID != uuid && !p.quiet {
			p.warn("%s", oneLine(s.String()))
		}
	}
	for _, sentence := range book.SetAside {
		p.warn("%s", oneLine(sentence))
	}
}

// holdForBench adds the pages that are missing as root. Others use what is free.
func (p *program) holdForBench(ctx context.Context, item pages.Item, use func() error) (giveBack func() error, err error) {
	giveBack = func() error { return nil }
	guest := hostprep.NewGuest(pages.Demand{Items: []pages.Item{item}}, pages.Traits{}, hostprep.NoStarter(), hostprep.UnknownIDs(), hostprep.Unasked())
	if os.Geteuid() != 0 {
		guest.Pending, err = ledger.ReadPending(p.host().Root, "")
		if err != nil {
			return giveBack, err
		}
		if short := check.Shortage(p.host(), guest); short != nil {
			return giveBack, errors.New(short.Have + ", and " + short.Need + " are needed; root can add them")
		}
		return giveBack, use()
	}
	l := p.lease(ledger.Claim{UUID: lease.NewUUID(), Name: benchName})
	_, err = l.Hold(ctx, guest, func() error {
		giveBack = func() error { _, _, err := l.GiveBack(); return err }
		return use()
	})
	return giveBack, err
}

// lease is what holds pages for a process of vmhuge's own.
func (p *program) lease(claim ledger.Claim) *lease.Lease {
	return &lease.Lease{Host: p.host(), Claim: claim, Open: p.openLedger, Close: p.closeLedger, Progress: p.progress}
}
