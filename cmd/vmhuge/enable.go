package main

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
	"vmhuge/xml"
)

func (p *program) enableCommand() *cli.Command {
	return &cli.Command{
		Name:      "enable",
		Usage:     "rewrite a domain's XML so that its memory lies on huge pages",
		ArgsUsage: "DOMAIN…",
		UsageText: `  vmhuge enable web1 --dry-run       only show what would change
  vmhuge enable web1 db1             on pages of 2 MiB
  vmhuge enable web1 --size 1G --round
  vmhuge enable web1 --thp           on transparent huge pages`,
		Description: sizeHelp + `

A domain that runs keeps its memory until its next cold start. Its former XML
is kept, and vmhuge disable takes the change back.`,
		Flags: append(rewriteFlags(), &cli.BoolFlag{Name: "dry-run", Usage: "only show the diff"}),
		Action: func(c *cli.Context) error {
			want, err := wanted(c)
			if err != nil {
				return err
			}
			return p.onNamed(c, func(l *launcher.Launcher, names []string) error {
				return each(p, names, func(name string) (launcher.Edit, error) { return l.Enable(name, want) },
					func(e launcher.Edit) { p.showEdit(e, "enabled", want.DryRun) },
					func(launcher.Edit) int { return exitDone })
			})
		},
	}
}

func (p *program) disableCommand() *cli.Command {
	return &cli.Command{
		Name:      "disable",
		Usage:     "take back what enable put in",
		ArgsUsage: "DOMAIN…",
		UsageText: "  vmhuge disable web1",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "only show the diff"}},
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

const sizeHelp = `Without --size the pages are those that the XML states, else of 2 MiB. auto: of
1 GiB where the host has enough of them free and the guest fits, else of 2 MiB.
default: the host's default size, <hugepages/> without a size.

--thp takes no pages of the pools: the memory becomes private, anonymous, and all
of it is allocated at start, for which the kernel takes huge pages where it has
any. It can be swapped and ballooned. What has to be shared stays shared.`

// rewriteFlags are the flags of enable and of xml enable.
func rewriteFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "size", Usage: "`SIZE` of the pages: 2M, 1G, auto or default"},
		&cli.StringFlag{Name: "source", Usage: "`SOURCE` of the memory: file (a hugetlbfs mount) or memfd (needs no mount)"},
		&cli.StringFlag{Name: "threads", Usage: "`N` threads get memory: a number, auto (what QEMU can use) or none (QEMU's choice)"},
		&cli.BoolFlag{Name: "round", Usage: "raise the guest's memory to a multiple of the page"},
		&cli.BoolFlag{Name: "thp", Usage: "transparent huge pages instead of reserved ones"},
	}
}

// wanted reads the flags of enable.
func wanted(c *cli.Context) (launcher.Want, error) {
	var want launcher.Want
	switch size := c.String("size"); size {
	case "":
		want.Backing = plainBacking()
	case "auto":
		want.Auto = true
	case "default":
		want.PageSize = 0
	default:
		var err error
		if want.PageSize, err = pages.ParseSize(size); err != nil {
			return want, usage("--size: %s", err)
		}
	}
	switch want.Source = c.String("source"); want.Source {
	case "", "file", "memfd":
	default:
		return want, usage("--source is file or memfd, not %q", want.Source)
	}
	switch threads := c.String("threads"); threads {
	case "":
	case "auto":
		want.AutoThreads = true
	case "none":
		want.Threads = -1
	default:
		n, err := strconv.ParseUint(threads, 10, 16)
		if err != nil || n == 0 {
			return want, usage("--threads is a number from 1, auto or none, not %q", threads)
		}
		want.Threads = int(n)
	}
	want.Round = c.Bool("round")
	if want.THP = c.IsSet("thp") && c.Bool("thp"); want.THP {
		for _, name := range []string{"size", "source"} {
			if c.IsSet(name) {
				return want, usage("--thp takes pages of no pool: it goes without --%s", name)
			}
		}
	}
	if c.IsSet("dry-run") {
		want.DryRun = c.Bool("dry-run")
	}
	return want, nil
}

// smallest is the smallest huge page of x86-64 and of arm64 with 4 KiB pages.
const smallest = pages.Size2MiB

// plainBacking is what enable asks for without flags.
func plainBacking() xml.Backing { return xml.Backing{PageSize: smallest, Keep: true} }

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
		p.say("%s: %s; its former XML is kept in %s", name, done, e.Copy)
	}
	for _, w := range e.Warnings {
		p.warn("%s: %s", name, w)
	}
	for _, f := range e.Findings {
		if f.Severity != hostprep.Note {
			p.say("%s: the host still lacks: %s", name, findingWords(f))
		}
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

// totalsWords says what a demand takes: 512 pages of 2 MiB, 4 pages of 1 GiB.
func totalsWords(totals []pages.Total) string {
	text := ""
	for i, t := range totals {
		if i > 0 {
			text += ", "
		}
		if t.Pages < 0 {
			text += fmt.Sprintf("%s on pages of the host's default size", pages.FormatBytes(t.MemoryKiB*pages.KiB))
		} else {
			text += fmt.Sprintf("%d %s of %s", t.Pages, plural(t.Pages, "page"), t.PageSize)
		}
	}
	return text
}

// takesWords says what a guest of that backing takes.
func takesWords(backing pages.Backing, totals []pages.Total) string {
	if backing == pages.THP {
		return "transparent huge pages"
	}
	return orNone(totalsWords(totals))
}

func plural(n int64, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
