package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/hostprep/hostpage"
	"vmhuge/hostprep/probe"
	"vmhuge/launcher"
	"vmhuge/picture"
)

func (p *program) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "find out whether a domain, or this host, is ready for huge pages",
		Category:  finding,
		ArgsUsage: "[DOMAIN…]",
		Description: `Tells whether a plain virsh start of each domain would succeed now and, if not, why
and what to do. Without a name it checks the host alone, which needs no libvirt.
Changes nothing.

As root it also tests access as QEMU's user: a process of that user opens an unnamed
file on the hugetlbfs mount and, if a free page is not promised to a guest, maps one
page and unmaps it. Nothing is left behind even if that process is killed; --no-probe
leaves the test out.

FILES
  /sys/kernel/mm/hugepages/
  /sys/devices/system/node/
  /proc/mounts
  /etc/libvirt/qemu.conf
  /var/log/libvirt/qemu/
EXIT STATUS
  0  every domain, or the host, is ready
  1
  2
  3  not ready; for the host alone: something that vmhuge start cannot fix
  4  not ready, but only memory or huge pages are missing`,
		UsageText: `  vmhuge check           what the host has for guests on huge pages
  vmhuge check web1 || vmhuge start web1
  vmhuge check --all
  vmhuge check 'web*'
  vmhuge check --dest qemu+ssh://host2/system web1`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "check every domain"},
			&cli.BoolFlag{Name: "no-probe", Usage: "skip the access test as QEMU's user"},
			&cli.StringFlag{Name: "dest", Usage: "`URI` check whether the domains could be migrated to the host of the libvirt at URI"},
		},
		Action: func(c *cli.Context) error {
			names, err := anyNames(c)
			switch {
			case err != nil:
				return err
			case len(names) > 0 && c.Bool("all"):
				return usage("--all cannot be combined with the domain %q", names[0])
			case len(names) == 0 && !c.Bool("all") && c.IsSet("dest"):
				return usage("--dest needs a domain, or --all")
			case len(names) == 0 && !c.Bool("all"):
				return p.checkHost()
			}
			var prober *probe.Prober
			if !c.Bool("no-probe") {
				prober = probe.NewProber(p.host())
				defer prober.Close()
			}
			l, err := p.connect()
			if err != nil {
				return err
			}
			defer l.Close()
			l.Probe = prober
			names, err = p.expandOrAll(l, names, c.Bool("all"))
			if err != nil {
				return err
			}
			if len(names) > 1 {
				if err := l.Survey(names); err != nil {
					return err
				}
			}
			if uri := c.String("dest"); uri != "" {
				dest, err := launcher.OpenDest(uri)
				if err != nil {
					return err
				}
				defer dest.Close()
				return each(p, names, func(name string) (launcher.Report, error) { return l.CheckDest(name, dest) }, p.showDest, codeOfReport)
			}
			return each(p, names, l.Check, p.showReport, codeOfReport)
		},
	}
}

// checkHost shows what the host has for guests on huge pages, and what is off.
func (p *program) checkHost() error {
	host := p.host()
	facts := hostpage.Facts(host, launcher.AskLibvirt(host))
	verdict := hostpage.Conclude(facts)
	if p.json {
		p.printJSON(map[string]any{"domains": []string{}, "host": facts, "verdict": verdict})
		return answered(codeOfHost(verdict))
	}
	colours := map[hostprep.Severity]picture.Colour{hostprep.OK: picture.Green, hostprep.Warning: picture.Yellow, hostprep.Blocker: picture.Red, hostprep.Note: picture.Dim}
	style := p.style(p.stdout)
	for _, f := range facts {
		say := p.say
		if f.Severity == hostprep.Warning || f.Severity == hostprep.Blocker {
			say = p.insist
		}
		say("%s %-14s %s", style.Paint(colours[f.Severity], fmt.Sprintf("%-8s", f.Severity)), oneLine(f.Name), curedWords(f.Finding))
	}
	return answered(codeOfHost(verdict))
}

func orNone(text string) string {
	if text == "" {
		return "no huge pages"
	}
	return text
}
