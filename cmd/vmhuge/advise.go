package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/hostprep/advise"
	"vmhuge/internal/pages"
)

func (p *program) adviseCommand() *cli.Command {
	return &cli.Command{
		Name:      "advise",
		Usage:     "recommend a kind of page for each guest, with the reasons",
		Category:  choosing,
		ArgsUsage: "[DOMAIN…]",
		UsageText: `  vmhuge advise web1
  vmhuge advise --file web1.xml`,
		Description: `Recommends transparent huge pages, reserved pages of 1 GiB or of the size that enable
takes (2 MiB on x86), or none, for each named domain or, without a name, for all of
them. It lists every rule that applies with its numbers and its weight for or against
each choice; the choice with the largest sum wins, and "out" rules one out. Changes
nothing.

FILES
  /proc/meminfo
  /sys/kernel/mm/hugepages/
  /sys/kernel/mm/transparent_hugepage/
EXIT STATUS
  0  every guest got a recommendation
  1
  2`,
		Flags: []cli.Flag{fileFlag()},
		Action: func(c *cli.Context) error {
			return p.candidates(c, func(names []string, read func(string) (hostprep.Candidate, error)) error {
				return each(p, names, func(name string) (advise.Advice, error) {
					guest, err := read(name)
					if err != nil {
						return advise.Advice{}, err
					}
					return advise.Weigh(p.host(), guest)
				}, p.showAdvice, func(advise.Advice) int { return exitDone })
			})
		},
	}
}

func choiceWords(a advise.Advice) string {
	switch a.Choice {
	case advise.ChooseTHP:
		return "transparent huge pages"
	case advise.Choose1GiB:
		return "reserved pages of 1 GiB"
	case advise.ChooseNone:
		return "small pages"
	}
	return "reserved pages of " + a.Usual.String()
}

func (p *program) showAdvice(a advise.Advice) {
	p.say("%s: %s", oneLine(a.Name), choiceWords(a))
	usual := strings.ReplaceAll(a.Usual.String(), " ", "")
	if len(usual) > len("2MiB") {
		usual = pages.SizeWord(a.Usual)
	}
	p.say("   THP %4s 1GiB none", usual)
	choices := advise.Choices(a.Usual)
	for _, r := range a.Reasons {
		for i, line := range wrap(r.Rule+": "+oneLine(r.Says), 80-23) {
			row := strings.Repeat(" ", 21)
			if i == 0 {
				row = weightWords(choices, r.Weights, r.Out)
			}
			p.say("%s  %s", row, line)
		}
	}
	p.say("%s  sum", weightWords(choices, a.Sums, a.Out))
}

// wrap breaks a text into lines of at most so many characters, where its words
// are no longer.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// weightWords is a row of weights in the order of the choices.
func weightWords(choices []advise.Choice, weights map[advise.Choice]int, out []advise.Choice) string {
	var row strings.Builder
	for _, choice := range choices {
		switch n := weights[choice]; {
		case slices.Contains(out, choice):
			row.WriteString("  out")
		case n == 0:
			row.WriteString("    .")
		default:
			fmt.Fprintf(&row, "%+5d", n)
		}
	}
	return " " + row.String()
}
