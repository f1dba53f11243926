package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) stopCommand() *cli.Command {
	return &cli.Command{
		Name:      "stop",
		Usage:     "shut a domain down and free its pages",
		Category:  running,
		ArgsUsage: "DOMAIN…",
		Description: `Asks the guest to shut down (ACPI), waits for it, and frees the pages that vmhuge
allocated for it; pages that were in the pool before stay. If the guest does not shut
down in time, the command fails and the guest keeps running, unless --force ends it
as virsh destroy does.

FILES
  /run/vmhuge/claims/
EXIT STATUS
  0  shut off, or already was
  1
  2`,
		UsageText: `  vmhuge stop web1
  vmhuge stop web1 --timeout 5m --force`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "timeout", Usage: "`TIME` how long to wait for the guest, such as 90s or 5m", Value: "60s"},
			&cli.BoolFlag{Name: "force", Usage: "power off a guest that does not shut down in time"},
		},
		Action: func(c *cli.Context) error {
			timeout, err := parseTime("timeout", c.String("timeout"))
			if err != nil {
				return err
			}
			return p.onNamed(c, func(l *launcher.Launcher, names []string) error {
				return each(p, names, func(name string) (launcher.Stopped, error) {
					report, clear := p.progress(name)
					defer clear()
					return l.Stop(c.Context, name, launcher.StopOptions{Timeout: timeout, Force: c.Bool("force"), Progress: report})
				}, p.showStopped, func(launcher.Stopped) int { return exitDone })
			})
		},
	}
}

func (p *program) showStopped(s launcher.Stopped) {
	text := "already shut off"
	if s.Done {
		text = "shut off"
	}
	if s.GivenKiB > 0 {
		text += ", " + pages.FormatKiB(s.GivenKiB) + " of huge pages freed"
	}
	if s.OwedKiB > 0 {
		text += ", " + pages.FormatKiB(s.OwedKiB) + " still in use by other processes"
	}
	if s.KeptKiB > 0 {
		text += ", " + pages.FormatKiB(s.KeptKiB) + " of huge pages kept for it"
	}
	p.say("%s: %s", oneLine(s.Name), text)
}
