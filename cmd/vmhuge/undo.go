package main

import (
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/ledger"
	"vmhuge/internal/pages"
)

func (p *program) undoCommand() *cli.Command {
	return &cli.Command{
		Name:     "undo",
		Usage:    "revert every change that vmhuge made to this host",
		Category: preparing,
		Description: `Reverts what start and prepare changed: mounts, folders, groups, AppArmor rules,
settings, files, and the pages that prepare added, or that guests which are gone left
behind. What somebody has changed since is left alone and reported. Domains and the hook
are not touched: see vmhuge disable and vmhuge hook remove.

FILES
  /var/lib/vmhuge/changes.json
  /etc/vmhuge/boot.json
  /run/vmhuge/claims/
EXIT STATUS
  0  everything was reverted, except what somebody has changed since
  1
  2`,
		UsageText: `  vmhuge undo --dry-run show what would be reverted
  vmhuge undo`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, change nothing"}},
		Action: func(c *cli.Context) error {
			if err := noNames(c); err != nil {
				return err
			}
			u, err := p.undo(c.Context, c.Bool("dry-run"), nil)
			if err != nil {
				return p.halfUndone(u, c.Bool("dry-run"), err)
			}
			if p.json {
				p.printJSON(u)
			}
			return answered(p.showUndone(u, c.Bool("dry-run")))
		},
	}
}

// undone is what was taken back of this host, or with a dry run would be.
type undone struct {
	Undone   []change.Change `json:"undone"`
	Left     []journal.Left  `json:"left"`
	GivenKiB int64           `json:"given_back_kib"` // of the pages that were added, for guests only where these are gone
	OwedKiB  int64           `json:"owed_kib"`       // of them, what waits until guests end
	// Reassembled are the pages that prepare had split and that are in one piece again.
	Reassembled []ledger.Demotion `json:"reassembled,omitempty"`
	// Reservations are those for programs, and of what was kept for guests, that were ended.
	Reservations []ledger.Reservation `json:"reservations,omitempty"`
}

// undo takes back what is on record. Of the guests that are named no pages are kept by then.
func (p *program) undo(ctx context.Context, dryRun bool, disabled []string) (u undone, err error) {
	record := journal.Journal{Host: p.host()}
	// The pages first: files on record may say how many there were.
	if err := p.undoPages(ctx, dryRun, disabled, &u); err != nil {
		return u, err
	}
	if dryRun {
		u.Undone, err = record.Changes()
		slices.Reverse(u.Undone) // the order in which they are taken back
	} else {
		u.Undone, u.Left, err = record.Undo()
	}
	return u, err
}

// halfUndone tells what was undone before an error.
func (p *program) halfUndone(u undone, dryRun bool, err error) error {
	if !u.nothing() {
		p.showUndone(u, dryRun)
	}
	return halfway{err, u}
}

func (u undone) nothing() bool {
	return len(u.Undone)+len(u.Left)+len(u.Reservations)+len(u.Reassembled) == 0 && u.GivenKiB+u.OwedKiB == 0
}

func (p *program) showUndone(u undone, dryRun bool) int {
	would := ""
	if dryRun {
		would = "would "
	}
	if u.nothing() {
		p.say("nothing to undo")
	}
	for _, r := range u.Reservations {
		what := "the reservation of"
		if r.Kept {
			what = "the keeping of"
		}
		p.say("%sundo: %s %s", would, what, oneLine(r.String()))
	}
	if u.GivenKiB > 0 {
		p.say("%sundo: %s of huge pages freed", would, pages.FormatKiB(u.GivenKiB))
	}
	if u.OwedKiB > 0 {
		p.say("%sundo: %s of huge pages are in use, and will be freed when their guests stop", would, pages.FormatKiB(u.OwedKiB))
	}
	for _, d := range u.Reassembled {
		p.say("%sundo: %s in one piece again", would, d)
	}
	for _, change := range u.Undone {
		p.say("%sundo: %s", would, changeWords(change))
	}
	return p.leftAsItIs(u.Left)
}

// leftAsItIs tells what was not taken back, and returns the exit code for it.
func (p *program) leftAsItIs(left []journal.Left) int {
	code := exitDone
	for _, l := range left {
		p.warn("left as it is: %s: %s", l.Change, oneLine(l.Reason))
		if l.Again {
			code = exitFailed
		}
	}
	return code
}
