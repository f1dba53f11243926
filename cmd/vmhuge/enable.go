package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) enableCommand() *cli.Command {
	return &cli.Command{
		Name:      "enable",
		Usage:     "change a domain's XML so that its RAM is on huge pages",
		Category:  running,
		ArgsUsage: "DOMAIN…",
		UsageText: `  vmhuge enable web1 --dry-run       only show what would change
  vmhuge enable --all --dry-run      of every domain
  vmhuge enable web1 db1             on pages of the usual size, 2 MiB on x86
  vmhuge enable web1 --size 1G --round
  vmhuge enable web1 --thp           on transparent huge pages`,
		Description: `Adds huge pages to the domain's persistent XML, shows the diff and keeps a copy of
the original; vmhuge disable undoes it. A running domain changes at its next cold
start: a reboot inside the guest is not enough.

` + sizeHelp + `

FILES
  /var/lib/vmhuge/domains/UUID.xml
EXIT STATUS
  0  enabled, or already was
  1
  2`,
		Flags: append(rewriteFlags(), &cli.BoolFlag{Name: "all", Usage: "every domain"}, &cli.BoolFlag{Name: "dry-run", Usage: "show the diff, change nothing"}),
		Action: func(c *cli.Context) error {
			want, err := wanted(c)
			if err != nil {
				return err
			}
			return p.onNamedOrAll(c, func(l *launcher.Launcher, names []string) error {
				return each(p, names, func(name string) (launcher.Edit, error) { return l.Enable(name, want) },
					func(e launcher.Edit) {
						p.showEdit(e, "enabled", want.DryRun)
						if e.Diff == "" {
							p.showRunning(l, e)
						}
					},
					func(launcher.Edit) int { return exitDone })
			})
		},
	}
}

func (p *program) disableCommand() *cli.Command {
	return &cli.Command{
		Name:      "disable",
		Usage:     "undo enable: restore the domain's XML",
		Category:  running,
		ArgsUsage: "DOMAIN…",
		Description: `Takes out of the domain's persistent XML what enable added, and shows the diff. Huge
pages that you had configured yourself stay. A running domain keeps its pages until
it stops. The copy of the original XML is deleted after that.

FILES
  /var/lib/vmhuge/domains/UUID.xml
EXIT STATUS
  0  disabled, or it was not enabled
  1
  2`,
		UsageText: `  vmhuge disable 'web*' --dry-run
  vmhuge disable web1`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "show the diff, change nothing"}},
		Action: func(c *cli.Context) error {
			dryRun := c.Bool("dry-run")
			return p.onNamed(c, func(l *launcher.Launcher, names []string) error {
				return each(p, names, func(name string) (launcher.Edit, error) { return l.Disable(name, dryRun) },
					func(e launcher.Edit) { p.showEdit(e, "disabled", dryRun) },
					func(launcher.Edit) int { return exitDone })
			})
		},
	}
}

const sizeHelp = `Without --size the page size in the XML stays; if there is none, it is the usual one
of the architecture: 2 MiB on x86, 1 MiB on s390x, 2, 32 or 512 MiB on arm64 with
4, 16 or 64 KiB pages. --size auto takes 1 GiB pages if the host has enough of them
free and the guest's memory is a multiple of 1 GiB, otherwise the usual ones.
--size default writes <hugepages/> without a size: libvirt then uses the host's
default size.

--thp uses transparent huge pages instead: no pool is needed, and the memory can be
swapped and ballooned, but the kernel may not find enough free 2 MiB blocks. It makes
the guest's memory private, unless a device needs it shared.`

// rewriteFlags are the flags of enable and of xml enable.
func rewriteFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "size", Usage: "`SIZE` page size: 2M, 1G, auto or default"},
		&cli.StringFlag{Name: "source", Usage: "`SOURCE` where the memory comes from: file (a hugetlbfs mount) or memfd (needs no mount)"},
		&cli.StringFlag{Name: "threads", Usage: "`N` preallocation threads: a number, auto (what QEMU can use) or none (QEMU decides)"},
		&cli.BoolFlag{Name: "round", Usage: "raise the guest's memory to a multiple of the page size"},
		&cli.BoolFlag{Name: "thp", Usage: "use transparent huge pages instead of reserved ones"},
	}
}

func (p *program) showEdit(e launcher.Edit, done string, dryRun bool) {
	name := oneLine(e.Name)
	p.printDiff(e.Diff)
	switch {
	case e.Diff == "":
		p.say("%s: nothing to do, it is %s", name, backingWords(e))
	case dryRun:
		p.say("%s: would be %s (dry run)", name, done)
	case e.Copy == "":
		p.say("%s: %s", name, done)
	default:
		p.say("%s: %s; its original XML is kept in %s", name, done, e.Copy)
	}
	for _, w := range e.Warnings {
		p.warn("%s: %s", name, w)
	}
	for _, f := range e.Findings {
		if f.Severity != hostprep.Note {
			p.say("%s: the host is not ready yet: %s", name, findingWords(f))
		}
	}
}

// showRunning says what the RAM of a guest is backed by, of one that runs and needs no
// change of its XML.
func (p *program) showRunning(l *launcher.Launcher, e launcher.Edit) {
	if e.State != launcher.Running && e.State != launcher.Paused {
		return
	}
	if r, err := l.Verify(e.UUID); err == nil && r.Proof != nil {
		p.say("%s: %s, %s", oneLine(e.Name), e.State, proofWords(*r.Proof))
	}
}

func backingWords(e launcher.Edit) string {
	switch e.Backing {
	case pages.THP:
		return "on transparent huge pages"
	case pages.Hugetlb:
		return "on huge pages: " + totalsWords(pages.Demand{Items: e.Demand}.Totals())
	}
	return "not on huge pages"
}
