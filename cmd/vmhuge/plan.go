package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/hostprep/plan"
)

func (p *program) planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "find out whether guests fit on this host together",
		Category:  choosing,
		ArgsUsage: "[DOMAIN…]",
		UsageText: `  vmhuge plan
  vmhuge plan web1 db1 --host-reserve 8G
  vmhuge plan --file web1.xml db1.xml
  vmhuge plan --on qemu+ssh://host1/system --on qemu+ssh://host2/system web1 db1
  vmhuge plan --facts hosts.json --fit best --inventory > placed.json`,
		Description: `Simulates starting the guests in the given order, by the rules of vmhuge start for
memory: what is free, what the pools can grow by, what vm.overcommit_memory=2 leaves,
and the limits of mounts and cgroups. vmhuge check judges the rest. If they do not all
fit, it names the first that fails and the fewest to move to another host. It prints the
sysctl or kernel command line settings that reserve the pages of those that fit. Without
a name it takes every domain, in order of name. Changes nothing.

With --on or --facts it places the guests on several hosts instead, each on the first
that has room, or with --fit best on the one that is then left with the least, and
prints the commands that move them there. For a host of --on only free pages count, as
in vmhuge check --dest; for one of --facts whose hook is ready, so do the pages by
which its pools can grow. Hosts that do not answer within 15 s are left out and listed.
Nothing is moved.

FILES
  /proc/meminfo
  /sys/devices/system/node/
  /sys/fs/cgroup/
EXIT STATUS
  0  all of them fit
  1  failed; with --on: no host could be queried
  2
  4  not all of them fit`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "plan for every domain, as without a name"},
			fileFlag(),
			hostReserveFlag(),
			&cli.StringSliceFlag{Name: "on", Usage: "`URI` place them on the host of the libvirt at URI; may be repeated"},
			&cli.StringSliceFlag{Name: "facts", Usage: "`FILE` place them on the hosts whose vmhuge facts are in FILE; may be repeated"},
			&cli.StringFlag{Name: "fit", Usage: "`first|best` which host to choose if a guest fits on several", Value: string(plan.First)},
			&cli.BoolFlag{Name: "inventory", Usage: "print only an inventory for Ansible, with the guests of each host"},
		},
		Action: func(c *cli.Context) error {
			several, err := severalHosts(c)
			if err != nil {
				return err
			}
			if c.Bool("all") && (c.NArg() > 0 || c.Bool("file")) {
				return usage("--all cannot be combined with names or --file")
			}
			reserve, err := hostReserve(c)
			if err != nil {
				return err
			}
			return p.candidates(c, func(names []string, read func(string) (hostprep.Candidate, error)) error {
				var guests []hostprep.Candidate
				for _, name := range names {
					guest, err := read(name)
					if err != nil {
						return err
					}
					guests = append(guests, guest)
				}
				if several {
					return p.planOn(c, names, guests)
				}
				plan, err := plan.Make(p.host(), guests, reserve)
				if err != nil {
					return err
				}
				p.showPlan(plan)
				if !plan.Fits {
					return answered(exitNoMemory)
				}
				return nil
			})
		},
	}
}

const reserveUsage = "`SIZE` memory the host keeps (default: 2G, plus 512M per 64G of RAM above 64G)"

func hostReserveFlag() cli.Flag {
	return &cli.StringFlag{Name: "host-reserve", Usage: reserveUsage}
}
