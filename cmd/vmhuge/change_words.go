package main

import (
	"fmt"
	"strings"

	"vmhuge/hostprep/change"
)

// changeWords is a change as a line for people: of a new file it has the only setting, or
// how many lines there are. prepare --dry-run shows files whole.
func changeWords(c change.Change) string {
	if c.Kind != change.KindFile || c.From != "" || c.To == "" {
		return c.String()
	}
	text := change.TextOf(c.To)
	var settings []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			settings = append(settings, line)
		}
	}
	if len(settings) == 1 {
		return fmt.Sprintf("write %s: %s", c.Path, settings[0])
	}
	return fmt.Sprintf("write %s (%d lines)", c.Path, strings.Count(text, "\n"))
}
