package main

import (
	"context"
	"errors"
	"os"

	"vmhuge/hostprep"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
)

// openLedger opens the ledger, and tells what it set right for others.
func (p *program) openLedger(ctx context.Context, uuid string) (*pool.Ledger, error) {
	report, clear := p.progress("the page pools")
	report("waiting for others who change them", 0, 0)
	ledger, err := pool.Open(ctx, p.host().Root)
	clear()
	if err != nil {
		return nil, err
	}
	for _, s := range ledger.Settled {
		if s.UUID != uuid && !p.quiet {
			p.warn("%s", oneLine(s.String()))
		}
	}
	for _, sentence := range ledger.SetAside {
		p.warn("%s", oneLine(sentence))
	}
	return ledger, nil
}

// release gives back what was added for a claim.
func (p *program) release(ledger *pool.Ledger, uuid, name string) (given, owed int64, err error) {
	report, clear := p.progress(name)
	defer clear()
	report("giving its pages back", 0, 0)
	return ledger.Release(uuid)
}

// hold gets the pages that a guest lacks, or a measurement, all or nothing, for
// as long as it runs: should this process end before there is a QEMU with the
// claim's UUID, the next run of anything gives them back.
func (p *program) hold(ctx context.Context, ledger *pool.Ledger, claim pool.Claim, guest hostprep.Guest) ([]hostprep.Change, error) {
	host := p.host()
	var err error
	if claim.Owner, err = pool.FindProcess(host.Root, os.Getpid()); err != nil {
		return nil, err
	}
	report, clear := p.progress(claim.Name)
	defer clear()
	changed, refusal, err := host.Hold(ctx, ledger, claim, guest, hostprep.HoldOptions{Effort: pool.Effort{Progress: report}})
	if refusal != nil && err == nil {
		err = &advice.Error{What: "getting huge pages for " + oneLine(claim.Name), Why: refusal.Have, Do: refusal.Do, Kind: advice.NoMemory}
	}
	if errors.Is(err, context.Canceled) {
		err = advice.New("getting huge pages for "+oneLine(claim.Name), "interrupted", "the pages were freed")
	}
	return changed, err
}
