package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) startCommand() *cli.Command {
	return &cli.Command{
		Name:      "start",
		Usage:     "start a domain and verify that its RAM is on huge pages",
		Category:  running,
		ArgsUsage: "[DOMAIN…]",
		Description: `Checks the domain and the host, fixes what it can (mounts, permissions, AppArmor
rules), allocates the missing pages, starts the domain, and verifies from the kernel's
accounting that its RAM is on huge pages. If the start fails, the pages are freed
again. The other changes stay until vmhuge undo. Without a name it starts the one
domain that is enabled.

--if-short starts the domain even if the host has too few of its huge pages: on smaller
ones, or on transparent ones (thp). start then says so and shows what the guest got.
The definition does not change: the next start tries its own pages again.
enable --if-short stores this for every vmhuge start; --if-short fail overrides it.

--at-least is for a guest on transparent huge pages, which the kernel does not
guarantee: RAM that is on small pages after the start is collapsed for up to 30 seconds
(Linux 6.1 or newer). vmhuge collapse --follow does that however guests are started.

FILES
  /var/lib/vmhuge/changes.json
  /run/vmhuge/claims/
  /var/log/libvirt/qemu/
EXIT STATUS
  0  started and verified, or already running
  1
  2
  3
  4`,
		UsageText: `  vmhuge start web1
  vmhuge start           the one domain that is enabled
  vmhuge start web1 db1 --host-reserve 8G --drop-caches
  vmhuge start db1 --if-short 2M
  vmhuge start web2 --at-least 95%`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "no-prepare", Usage: "change nothing on the host; start only if it is ready"},
			&cli.BoolFlag{Name: "paused", Usage: "start the guest paused (virsh resume runs it)"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, change nothing"},
			&cli.BoolFlag{Name: "drop-caches", Usage: "drop the host's page cache if too few pages can be allocated"},
			&cli.StringFlag{Name: "if-short", Usage: "`PAGES` if short, start on: fail, a page size, thp (default: as stored by enable)"},
			&cli.StringFlag{Name: "at-least", Usage: "`PERCENT` required share of a --thp guest's RAM, else exit 4 (default: as enabled)"},
			hostReserveFlag(),
		},
		Action: func(c *cli.Context) error {
			o := launcher.StartOptions{NoPrepare: c.Bool("no-prepare"), Paused: c.Bool("paused"), DryRun: c.Bool("dry-run"), DropCaches: c.Bool("drop-caches")}
			var err error
			o.HostReserve, err = hostReserve(c)
			if err != nil {
				return err
			}
			if o.IfShort, err = ifShort(c); err != nil {
				return err
			}
			if o.AtLeast, err = atLeast(c); err != nil {
				return err
			}
			names, err := anyNames(c)
			if err != nil {
				return err
			}
			l, err := p.connect()
			if err != nil {
				return err
			}
			defer l.Close()
			if len(names) == 0 {
				name, err := l.Only()
				if err != nil {
					return err
				}
				names = []string{name}
			} else if names, err = l.Expand(names); err != nil {
				return err
			}
			defer p.notices(l)
			return each(p, names, func(name string) (launcher.Report, error) {
				report, clear := p.progress(name)
				defer clear()
				o.Progress = report
				return l.Start(c.Context, name, o)
			}, func(r launcher.Report) { p.showStart(r, o.DryRun) }, codeOfReport)
		},
	}
}

// ifShort reads what a guest is started on where its pages are short; nil: as its XML says.
func ifShort(c *cli.Context) (*pages.IfShort, error) {
	if !c.IsSet("if-short") {
		return nil, nil //nolint:nilnil // none given is an answer
	}
	other, err := pages.ParseIfShort(c.String("if-short"))
	if err != nil {
		return nil, usage("--if-short must be fail, thp or a page size such as 2M, not %q", c.String("if-short"))
	}
	return &other, nil
}

func (p *program) showStart(r launcher.Report, dryRun bool) {
	p.showReport(r)
	if !dryRun {
		return
	}
	for _, f := range r.Findings {
		if f.Severity != hostprep.Blocker {
			continue // advice
		}
		for _, change := range f.Changes {
			p.say("  would: %s", change)
		}
	}
}

// notices tells what was left behind by others and set right on the way.
func (p *program) notices(l *launcher.Launcher) { p.tell(l.Notices) }

func (p *program) tell(sentences []string) {
	for _, notice := range sentences {
		if !p.quiet {
			p.warn("%s", oneLine(notice))
		}
	}
}

// atLeast reads how much of a guest's RAM must be on transparent huge pages; nil: as its XML says.
func atLeast(c *cli.Context) (*float64, error) {
	if !c.IsSet("at-least") {
		return nil, nil
	}
	percent, err := percentage(c, "at-least")
	return &percent, err
}
