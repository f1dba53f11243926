package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

func (p *program) undoCommand() *cli.Command {
	return &cli.Command{
		Name:     "undo",
		Usage:    "revert every change that vmhuge made to this host",
		Category: preparing,
		Description: `Reverts what start and prepare changed: mounts, folders, groups, AppArmor rules,
settings, files, and the pages that prepare added. What somebody has changed since is
left alone and reported. Domains and the hook are not touched: see vmhuge disable and
vmhuge hook remove.

FILES
  /var/lib/vmhuge/changes.json
  /etc/vmhuge/boot.json
  /run/vmhuge/claims/
EXIT STATUS
  0  everything was reverted, except what somebody has changed since
  1
  2`,
		UsageText: `  vmhuge undo --dry-run    show those changes
  vmhuge undo`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, change nothing"}},
		Action: func(c *cli.Context) error {
			if err := noNames(c); err != nil {
				return err
			}
			record := journal.Journal{Host: p.host()}
			undone, left := []change.Change(nil), []journal.Left(nil)
			// The pages first: files on record may say how many there were.
			given, owed, err := p.undoPages(c)
			if err != nil {
				return err
			}
			would := ""
			if c.Bool("dry-run") {
				would = "would "
				undone, err = record.Changes()
				slices.Reverse(undone) // the order in which they are taken back
			} else {
				undone, left, err = record.Undo()
			}
			if err != nil {
				return err
			}
			if p.json {
				p.printJSON(map[string]any{"undone": undone, "left": left, "given_back_kib": given / pages.KiB, "owed_kib": owed / pages.KiB})
			}
			if len(undone)+len(left) == 0 && given+owed == 0 {
				p.say("nothing to undo")
			}
			if given > 0 {
				p.say("%sundo: %s of huge pages freed", would, pages.FormatBytes(given))
			}
			if owed > 0 {
				p.say("%sundo: %s of huge pages are in use, and will be freed when their guests stop", would, pages.FormatBytes(owed))
			}
			for _, change := range undone {
				p.say("%sundo: %s", would, changeWords(change))
			}
			return p.leftAsItIs(left)
		},
	}
}

// undoPages gives back the pages that prepare has added, in bytes: those that went,
// and those that wait until guests end. A dry run says what there are.
func (p *program) undoPages(c *cli.Context) (given, owed int64, err error) {
	claims, err := pool.ReadClaims(p.host().Root)
	i := slices.IndexFunc(claims, func(c pool.Claim) bool { return c.UUID == pool.PreparedUUID })
	if err != nil || i < 0 {
		return 0, 0, err
	}
	if c.Bool("dry-run") {
		for _, grant := range claims[i].Grants {
			given += grant.Pages * int64(grant.Size)
		}
		return given, 0, nil
	}
	ledger, err := p.openLedger(c.Context, pool.PreparedUUID)
	if err != nil {
		return 0, 0, err
	}
	defer ledger.Close()
	return ledger.Release(pool.PreparedUUID)
}

// leftAsItIs tells what was not taken back.
func (p *program) leftAsItIs(left []journal.Left) error {
	code := exitDone
	for _, l := range left {
		p.warn("left as it is: %s: %s", l.Change, oneLine(l.Reason))
		if l.Again {
			code = exitFailed
		}
	}
	return answered(code)
}
