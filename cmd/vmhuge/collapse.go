package main

import (
	"context"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/collapse"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) collapseCommand() *cli.Command {
	return &cli.Command{
		Name:      "collapse",
		Usage:     "move a running guest's RAM to transparent huge pages now",
		Category:  running,
		ArgsUsage: "[DOMAIN…]",
		UsageText: `  vmhuge collapse web1
  vmhuge collapse web1 --dry-run
  vmhuge collapse web1 db1 --at-least 99% --budget 2m
  vmhuge collapse --follow           every --thp guest, after each of its starts
  vmhuge collapse web1 --json | jq '.domains[0].percent'`,
		Description: `Asks the kernel (MADV_COLLAPSE, Linux 6.1 or newer) to move the RAM of a guest that
already runs to transparent huge pages. The guest keeps running; neither its XML nor any
setting of the host is changed, and it works with transparent_hugepage/enabled=never.

It works in slices of 32 MiB until all of the RAM has been tried, the budget is used
up, no free blocks are left, the host would have less memory available than a quarter
of its reserve, or you press Ctrl-C. Pages that are huge by then stay huge.

Memory that the guest has not used yet has no pages to collapse and does not count for
--at-least. Shared memory (virtiofs, vhost-user) can be collapsed only where its address
is aligned, which QEMU does not do for a plain memfd or file. RAM on reserved huge pages
counts as huge.

--follow runs until interrupted: it collapses every running guest on transparent huge
pages (vmhuge enable --thp), and then each one that is started, by whatever program. If
less than --at-least is on huge pages after that, it tries the guest again every 10
minutes. With --json it prints one object per line.

FILES
  /proc/PID/smaps
  /proc/PID/numa_maps
  /proc/PID/pagemap  which parts of QEMU's memory have pages, and which are swapped out
EXIT STATUS
  0  as much is on huge pages as --at-least asks for; with --dry-run: could be
  1
  2
  4  less is on huge pages than --at-least asks for`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "at-least", Usage: "`PERCENT` required share of used RAM on huge pages, else exit status 4", Value: "95%"},
			&cli.StringFlag{Name: "budget", Usage: "`TIME` time limit for each domain, such as 90s or 5m", Value: "30s"},
			&cli.StringFlag{Name: "node", Usage: "`NODE` collapse only memory on this node of the host (default: all)"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what could be collapsed, and change nothing"},
			&cli.BoolFlag{Name: "follow", Usage: "collapse every --thp guest after each start, until interrupted"},
		},
		Action: func(c *cli.Context) error {
			o, err := p.collapseOptions(c)
			if err != nil {
				return err
			}
			follow := c.Bool("follow")
			switch {
			case follow && (c.Args().Present() || o.DryRun):
				return usage("--follow takes no domain and no --dry-run")
			case !follow:
				if _, err := names(c); err != nil {
					return err
				}
			}
			if err := needRoot("collapsing", false); err != nil { // a dry run reads QEMU's memory map as well
				return err
			}
			if follow {
				return p.followCollapse(c.Context, o)
			}
			return p.onNamed(c, func(l *launcher.Launcher, names []string) error { return p.collapse(c.Context, l, names, o) })
		},
	}
}

func (p *program) collapse(ctx context.Context, l *launcher.Launcher, names []string, o collapse.Options) error {
	return each(p, names, func(name string) (launcher.Collapsed, error) {
		report, clear := p.progress(name)
		defer clear()
		report("reading its memory map", 0, 0)
		o := o
		o.Progress = func(done, all int64) { report("collapsing", done, all) }
		return l.Collapse(ctx, name, o)
	}, p.showCollapsed, codeOfCollapsed)
}

func (p *program) collapseOptions(c *cli.Context) (o collapse.Options, err error) {
	o.DryRun, o.Node = c.Bool("dry-run"), -1
	if o.AtLeast, err = percentage(c, "at-least"); err != nil {
		return o, err
	}
	if o.Budget, err = parseTime("budget", c.String("budget")); err != nil {
		return o, err
	}
	if o.Budget == 0 {
		return o, usage("--budget: 0 leaves no time: use --dry-run to change nothing")
	}
	if !c.IsSet("node") {
		return o, nil
	}
	nodes, err := p.host().Nodes()
	if err != nil {
		return o, err
	}
	var have []int
	for _, n := range nodes {
		have = append(have, n.ID)
	}
	o.Node, err = strconv.Atoi(c.String("node"))
	if err != nil || !slices.Contains(have, o.Node) {
		return o, usage("--node: this host has no node %q; it has %s", c.String("node"), pages.FormatNodes(have))
	}
	return o, nil
}

func percentage(c *cli.Context, flag string) (float64, error) {
	text := c.String(flag)
	n, err := pages.ParsePercent(text)
	if err != nil {
		return 0, usage("--%s: %q is not a percentage: write it as 95%%", flag, text)
	}
	return n, nil
}
