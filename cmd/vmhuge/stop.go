package main

import (
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) stopCommand() *cli.Command {
	return &cli.Command{
		Name:      "stop",
		Usage:     "shut a domain down and give its pages back",
		ArgsUsage: "DOMAIN…",
		UsageText: `  vmhuge stop web1
  vmhuge stop web1 --timeout 5m --force`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "timeout", Usage: "how long to wait for the guest: a `TIME` such as 90s or 5m", Value: "60s"},
			&cli.BoolFlag{Name: "force", Usage: "end a guest that does not shut down in time"},
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

// parseTime reads the 90s or 5m of a flag; a mere number is seconds.
func parseTime(flag, text string) (time.Duration, error) {
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, usage("--%s: %q is no time: write it as 90s or 5m", flag, text)
	}
	return d, nil
}

func (p *program) showStopped(s launcher.Stopped) {
	text := "already shut off"
	if s.Done {
		text = "shut off"
	}
	if s.GivenKiB > 0 {
		text += ", " + pages.FormatBytes(s.GivenKiB*pages.KiB) + " of huge pages given back"
	}
	if s.OwedKiB > 0 {
		text += ", " + pages.FormatBytes(s.OwedKiB*pages.KiB) + " wait for others who use them"
	}
	p.say("%s: %s", oneLine(s.Name), text)
}
