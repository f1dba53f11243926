package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/launcher"
)

func (p *program) enableCommand() *cli.Command {
	return &cli.Command{
		Name:      "enable",
		Usage:     "change a domain's XML so that its RAM is on huge pages",
		Category:  running,
		ArgsUsage: "DOMAIN…",
		UsageText: `  vmhuge enable web1 --dry-run       only show what would change
  vmhuge enable --all --dry-run      the same for every domain
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
		Description: `Removes from the domain's persistent XML what enable added, and shows the diff. Huge
pages that you had configured yourself stay. A running domain keeps its pages until
it stops. The copy of the original XML is deleted.

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

const sizeHelp = `Without --size the page size in the XML stays; if there is none, it
is the usual one of the architecture: 2 MiB on x86, 1 MiB on s390x, 2, 32 or 512 MiB on
arm64 with 4, 16 or 64 KiB pages. --size auto uses 1 GiB pages if the host has enough
of them free and the guest's memory is a multiple of 1 GiB, otherwise the usual ones.
--size default writes <hugepages/> without a size: libvirt then uses the host's default
size.

--thp uses transparent huge pages instead: no pool is needed, and the memory can be
swapped and ballooned, but the kernel may not find enough free 2 MiB blocks. It makes
the guest's memory private, unless a device needs it shared.

--at-least 95% is stored in the XML: vmhuge start, or vmhuge collapse --follow, then
collapses the guest's memory once it runs, and fails if less of it is on huge pages.

--keep is stored in the XML, and takes effect when vmhuge or its hook next starts the
guest: when it stops, its pages stay in the pool for its next start, and no other guest
gets them. --keep no, disable and undo free them.

--if-short is stored, too: vmhuge start then starts the guest on smaller pages (2M) or
on transparent ones (thp) where the host has too few of its own. fail ends that.

--reserve-growth is for a guest with <maxMemory>: from its next start by vmhuge or its
hook on, as many pages more stay in the pool for vmhuge memory until the guest stops.`

// rewriteFlags are the flags of enable and of xml enable.
func rewriteFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "size", Usage: "`SIZE` page size: 2M, 1G, auto or default"},
		&cli.StringFlag{Name: "source", Usage: "`SOURCE` where the memory comes from: file (a hugetlbfs mount) or memfd (no mount)"},
		&cli.StringFlag{Name: "threads", Usage: "`N` allocation threads: number, auto (what QEMU can use) or none (QEMU decides)"},
		&cli.BoolFlag{Name: "round", Usage: "raise the guest's memory to a multiple of the page size"},
		&cli.BoolFlag{Name: "thp", Usage: "use transparent huge pages instead of reserved ones"},
		&cli.StringFlag{Name: "at-least", Usage: "`PERCENT` with --thp: share of its RAM in use that must be on huge pages (0: any)"},
		&cli.StringFlag{Name: "keep", Usage: "`TIME` how long to keep its pages for it after it stops, such as 90m, always or no"},
		&cli.StringFlag{Name: "reserve-growth", Usage: "`SIZE` reserve pages for it to grow by while it runs, such as 4G, or no"},
		&cli.StringFlag{Name: "if-short", Usage: "`PAGES` what vmhuge start puts it on if its pages are short: fail, a size or thp"},
	}
}
