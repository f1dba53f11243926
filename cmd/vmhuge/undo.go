package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
)

func (p *program) undoCommand() *cli.Command {
	return &cli.Command{
		Name:  "undo",
		Usage: "take back every change of the host that still stands as vmhuge left it",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "only say what would be done"}},
		Action: func(c *cli.Context) error {
			if err := noNames(c); err != nil {
				return err
			}
			journal := hostprep.Journal{Host: p.host()}
			undone, left := []hostprep.Change(nil), []hostprep.Left(nil)
			var err error
			would := ""
			if c.Bool("dry-run") {
				would = "would "
				undone, err = journal.Changes()
				slices.Reverse(undone) // the order in which they are taken back
			} else {
				undone, left, err = journal.Undo()
			}
			if err != nil {
				return err
			}
			if p.json {
				p.printJSON(map[string]any{"undone": undone, "left": left})
			}
			if len(undone)+len(left) == 0 {
				p.say("nothing to undo")
			}
			for _, change := range undone {
				p.say("%sundo: %s", would, change)
			}
			return p.leftAsItIs(left)
		},
	}
}

// leftAsItIs tells what was not taken back.
func (p *program) leftAsItIs(left []hostprep.Left) error {
	code := exitDone
	for _, l := range left {
		p.warn("left as it is: %s: %s", l.Change, l.Reason)
		if l.Again {
			code = exitFailed
		}
	}
	return answered(code)
}
