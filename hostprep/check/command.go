package check

import (
	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// command is a command of vmhuge's for a guest. A check of the host alone has no name for it.
func command(g hostprep.Guest, words string) string {
	if g.Demand.Domain == "" {
		return "vmhuge " + words
	}
	return "vmhuge " + words + " " + shell.Operand(g.Demand.Domain)
}

// enable is the command that gives a guest pages of a size.
func enable(g hostprep.Guest, size pages.Size) string {
	return command(g, "enable --size "+pages.SizeWord(size))
}
