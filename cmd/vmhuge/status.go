package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/hostpage"
	"vmhuge/launcher"
	"vmhuge/picture"
)

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show the page pools and what backs each guest's RAM",
		Category:  watching,
		ArgsUsage: "[DOMAIN…]",
		UsageText: `  vmhuge status
  vmhuge status --watch
  vmhuge status --watch --json
  vmhuge -c qemu+ssh://h1/system -c qemu+ssh://h2/system status`,
		Description: `Draws a bar for each NUMA node and page size, all on one scale, then a line for each
guest, then notes: which other programs hold pages, which pages nobody uses, and why a
guest's memory is not what its XML seems to say. Columns that do not fit the terminal
are left out; on a pipe the width is $COLUMNS, or 80. It changes nothing, except that it
frees pages left behind by guests; with --watch it only shows them.

With --watch and --json it prints an object at once, and another whenever something has
changed, each on a line of its own; "changed" names the fields that differ from the
line before. Nothing is printed if only the amount that the kernel could still allocate
has changed. When libvirt goes down, the next line has domains_error instead of
domains, until libvirt is back. It ends on SIGINT and SIGTERM, and when its output is
closed.

With several -c it shows the pools and domains of each host, as far as its libvirt
reports them. If a host does not answer within 15 s, status says so, shows the rest,
and exits with 1.

The columns of the pools, in pages:

  TOTAL      pages in the pool
  USED       in use by guests or other programs
  RESERVED   free, but promised to a process that has not touched them yet
  FREE       free for anyone
  BY VMHUGE  added by vmhuge for guests or by vmhuge prepare
  AVAILABLE  how many more the kernel could allocate right now, without compaction

The columns of the guests:

  RAM          the guest's memory
  BACKING      what its XML asks for: a page size, thp or none
  HUGE PAGES   how much of its RAM is on huge pages, by the kernel's accounting: a bar
               and percent; ? if it is unknown
  NODES        the NUMA nodes that hold its RAM
  FREED BY     what frees its pages when it stops: kernel (at once), hook (libvirt
               calls it), or vmhuge (the next vmhuge command)

FILES
  /sys/devices/system/node/
  /run/vmhuge/claims/
  /run/vmhuge/hook.log
EXIT STATUS
  0
  1
  2`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "watch", Usage: "refresh every two seconds until Ctrl-C; with --json: print each change"}},
		Action: func(c *cli.Context) error {
			names, err := anyNames(c)
			if err != nil {
				return err
			}
			switch {
			case len(p.uris) > 1:
				return p.statusOfHosts(c, names)
			case c.Bool("watch") && p.json:
				return p.streamStatus(c.Context, names)
			case c.Bool("watch"):
				return p.watch(c.Context, names)
			}
			settled, setAside := launcher.Settle(p.host())
			s := p.readStatus(names)
			s.Settled, s.SetAside = append(s.Settled, settled...), setAside
			s.Notes = hostpage.PoolNotes(p.host())
			if s.err != nil && (p.json || s.Pools == nil) {
				return s.err
			}
			if p.json {
				p.printJSON(s.answer())
				return nil
			}
			if s.unreachable != nil {
				p.complain(s.unreachable)
			}
			for _, line := range s.lines(p.style(p.stdout)) {
				p.say("%s", line)
			}
			for _, line := range s.wrong(os.Geteuid() == 0) {
				p.insist("%s", p.style(p.stdout).Paint(picture.Red, "! "+line))
			}
			return s.err // of names that are unknown; the others are above
		},
	}
}
