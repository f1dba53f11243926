package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/journal"
)

func (p *program) hookRemove(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return err
	}
	if err := needRoot("removing the hook", false); err != nil {
		return err
	}
	r, err := p.removeHook(c.Bool("dry-run"))
	if err != nil {
		return p.halfRemoved(r, err)
	}
	if p.json {
		p.printJSON(r)
	}
	return answered(p.showHookRemoved(r, c.Bool("dry-run")))
}

// hookRemoved is what the removal of the hook has changed, and what it changes.
type hookRemoved struct {
	Changed []change.Change `json:"changed"`
	Changes []change.Change `json:"changes"`
	Left    []journal.Left  `json:"left"`
}

func (p *program) removeHook(dryRun bool) (r hookRemoved, err error) {
	if dryRun {
		r.Changes, err = hook.Removal(p.host())
		return r, err
	}
	r.Changed, r.Left, err = hook.Remove(p.host())
	r.Changes = r.Changed
	return r, err
}

// halfRemoved tells what was removed of the hook before an error.
func (p *program) halfRemoved(r hookRemoved, err error) error {
	if len(r.Changed) > 0 {
		p.showHookRemoved(r, false)
	}
	return halfway{err, r}
}

func (p *program) showHookRemoved(r hookRemoved, dryRun bool) int {
	done := "done"
	if dryRun {
		done = "would"
	}
	if len(r.Changes)+len(r.Left) == 0 {
		p.say("hook: not installed")
	}
	for _, change := range r.Changes {
		p.say("hook: %s: %s", done, changeWords(change))
	}
	return p.leftAsItIs(r.Left)
}
