package main

import (
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"vmhuge/hostprep/change"
)

// sayWould prints a change that would be made: of a file the lines that go and come. What
// stays is left out, as it may be another program's password.
func (p *program) sayWould(c change.Change) {
	if c.Kind != change.KindFile || c.To == "" {
		p.say("prepare: would: %s", c)
		return
	}
	verb := "write"
	if c.From != "" {
		verb = "edit"
	}
	p.say("prepare: would: %s %s:", verb, oneLine(c.Path))
	p.printDiff(changedLines(change.TextOf(c.From), change.TextOf(c.To)))
}

// changedLines is a unified diff without its heads and what stays the same.
func changedLines(from, to string) string {
	_, hunks, _ := strings.Cut(string(diff.Diff("from", []byte(from), "to", []byte(to))), "\n@@")
	var text strings.Builder
	for line := range strings.Lines(hunks) {
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+") {
			text.WriteString(line)
		}
	}
	return text.String()
}
