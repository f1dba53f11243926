package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/launcher"
)

func (p *program) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "would a plain virsh start succeed now? changes nothing",
		ArgsUsage: "[DOMAIN…]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "all", Usage: "every domain"}},
		Action: func(c *cli.Context) error {
			names, err := anyNames(c)
			switch {
			case err != nil:
				return err
			case len(names) > 0 && c.Bool("all"):
				return usage("--all is every domain, and %q is named", names[0])
			case len(names) == 0 && !c.Bool("all"):
				return p.checkHost()
			}
			l, err := p.connect()
			if err != nil {
				return err
			}
			defer l.Close()
			if c.Bool("all") {
				if names, err = l.Names(); err != nil {
					return err
				}
				if len(names) == 0 {
					p.say("there are no domains")
				}
			}
			return each(p, names, l.Check, p.showReport, codeOfReport)
		},
	}
}

// checkHost shows what the host has for guests on huge pages.
func (p *program) checkHost() error {
	facts := p.host().Facts()
	if p.json {
		p.printJSON(map[string]any{"domains": []string{}, "host": facts})
		return nil
	}
	for _, f := range facts {
		p.say("%-12s %s", f.Name, f.Value)
	}
	return nil
}

// showReport prints what is known of one domain.
func (p *program) showReport(r launcher.Report) {
	name, say := oneLine(r.Name), p.say
	if !r.Ready {
		say = p.insist
	}
	switch {
	case r.Proof != nil:
		p.say("%s: %s, %s", name, r.State, proofWords(*r.Proof))
	case r.Ready:
		p.say("%s: ready, takes %s", name, takesWords(r.Backing, r.Totals))
	case r.Fixable:
		say("%s: not ready (%s), takes %s; vmhuge start would make it so", name, r.Verdict, takesWords(r.Backing, r.Totals))
	default:
		say("%s: not ready (%s)", name, r.Verdict)
	}
	for _, f := range r.Findings {
		if f.Severity != hostprep.Note || p.verbose || r.Backing == "none" {
			say("  %s", findingWords(f))
		}
	}
	for _, change := range r.Changed {
		p.say("  done: %s", change)
	}
}

func orNone(text string) string {
	if text == "" {
		return "no huge pages"
	}
	return text
}

// findingWords is a finding in one line: what is there, what is needed, who
// must do what.
func findingWords(f hostprep.Finding) string {
	text := f.Check + ": " + f.Have
	if f.Need != "" {
		text += "; needed: " + f.Need
	}
	if f.Do != "" {
		text += "; " + f.Do
	}
	return oneLine(text)
}
