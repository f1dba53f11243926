package main

import (
	"strings"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/internal/shell"
)

// showExec prints the command line and, as comments, what would be done.
func (p *program) showExec(e *execution) error {
	short := check.Shortage(p.host(), e.guest)
	code := exitDone
	if short != nil && !short.Fixable {
		code = exitNoMemory
	}
	if p.json {
		changes := []change.Change{}
		if short != nil {
			changes = short.Changes
		}
		p.printJSON(map[string]any{"command": e.Args, "uuid": e.UUID, "demand": e.Demand.Items, "totals": e.Demand.Totals(),
			"edits": e.Changes, "notes": e.Notes, "changes": changes, "fixable": code == exitDone})
		return answered(code)
	}
	p.say("# takes %s", totalsWords(e.Demand.Totals()))
	if short != nil && !short.Fixable {
		p.insist("# %s; needed: %s; %s", short.Have, short.Need, short.Do)
	} else if short != nil {
		for _, change := range short.Changes {
			p.say("# would: %s", change)
		}
	}
	for _, line := range e.Changes {
		p.say("# %s", oneLine(line))
	}
	for _, line := range e.Notes {
		p.say("# note: %s", oneLine(line))
	}
	var words []string
	for _, arg := range e.Args {
		words = append(words, shell.Quote(arg))
	}
	p.insist("%s", strings.Join(words, " "))
	return answered(code)
}
