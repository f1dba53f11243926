package main

import (
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/launcher"
)

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "the page pools, who holds what, and the guests with their backing",
		ArgsUsage: "[DOMAIN…]",
		UsageText: `  vmhuge status
  vmhuge status --watch`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "watch", Usage: "again every two seconds, until interrupted"}},
		Action: func(c *cli.Context) error {
			names, err := anyNames(c)
			if err != nil {
				return err
			}
			if p.json && c.Bool("watch") {
				return usage("--watch repeats itself, and --json is one object")
			}
			for {
				if err := p.status(names); err != nil || !c.Bool("watch") {
					return err
				}
				select {
				case <-c.Done():
					return nil
				case <-time.After(2 * time.Second):
					if terminal(p.stdout) {
						p.say("\x1b[H\x1b[2J")
					}
				}
			}
		},
	}
}

func (p *program) status(names []string) error {
	s, unreachable, err := p.readStatus(names)
	if err != nil && (p.json || s.Pools == nil) {
		return err
	}
	if p.json {
		fields := map[string]any{"pools": s.Pools, "mounts": s.Mounts, "domains": s.Domains, "hook": s.Hook, "thp": s.THP, "settled": s.Settled}
		if len(s.SetAside) > 0 {
			fields["set_aside"] = s.SetAside
		}
		if unreachable != nil { // that there are no domains is not known
			fields["domains_error"] = errorOf(unreachable)
		}
		p.printJSON(fields)
		return nil
	}
	if unreachable != nil {
		p.complain(unreachable)
	}
	p.say("%-6s %-8s %8s %8s %8s %8s %8s %8s", "NODE", "PAGES OF", "TOTAL", "USED", "RESERVED", "FREE", "SURPLUS", "VMHUGE")
	for _, pool := range s.Pools {
		node := "all"
		if pool.Node >= 0 {
			node = strconv.Itoa(pool.Node)
		}
		p.say("%-6s %-8s %8d %8d %8d %8d %8d %8d", node, pool.Size, pool.Total, pool.Total-pool.Free, pool.Reserved, pool.Free, pool.Surplus, pool.HeldByUs)
	}
	for _, m := range s.Mounts {
		p.say("mount  %s, pages of %s", m.Point, m.Size)
	}
	for _, d := range s.Domains {
		back := map[string]string{"": "", "kernel": "; the kernel frees what was added when QEMU ends",
			"hook": "; the hook gives back what was added", "vmhuge": "; vmhuge stop, or its next run, gives back what was added"}
		p.say("guest  %s: %s, %s%s", oneLine(d.Name), d.State, takesWords(d.Backing, d.Totals), back[d.GivenBackBy])
	}
	p.say("hook   %s", s.Hook)
	for _, f := range s.Hook.Findings {
		p.insist("  %s", findingWords(f))
	}
	for _, settled := range s.Settled {
		p.say("%s", settled)
	}
	for _, sentence := range s.SetAside {
		p.say("%s", sentence)
	}
	return err // of names that are unknown; the others are above
}

// readStatus reads the pools even where no libvirt answers.
func (p *program) readStatus(names []string) (s launcher.Status, unreachable, err error) {
	l, err := p.connect()
	switch {
	case err == nil:
		defer l.Close()
		s, err = l.Status(names)
	case len(names) == 0:
		unreachable = err
		s, err = launcher.ReadHostStatus(p.host())
	}
	return s, unreachable, err
}
