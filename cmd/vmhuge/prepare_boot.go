package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/prepare"
)

// prepareBoot is what the unit does: what the table of boot has.
func (p *program) prepareBoot(c *cli.Context) error {
	book, err := p.openLedger(c.Context)
	if err != nil {
		return err
	}
	defer p.closeLedger(book, ledger.PreparedUUID)
	changed, findings, err := prepare.AtBoot(c.Context, p.host(), book)
	for _, change := range changed {
		p.say("prepare: done: %s", changeWords(change))
	}
	worst := exitDone
	for _, f := range findings {
		p.insist("prepare: %s", findingWords(f))
		worst = max(worst, codeOfFinding(f, false))
	}
	if err != nil {
		return err
	}
	return answered(worst)
}
