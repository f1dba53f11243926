package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
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
  vmhuge status --watch`,
		Description: `Draws a bar for each NUMA node and page size, all on one scale, then a line for each
guest. Columns that do not fit the terminal are left out; on a pipe the width is
$COLUMNS, or 80. Changes nothing, but frees pages that guests have left behind.

The columns of the pools, in pages:

  TOTAL     pages in the pool
  USED      in use by guests or other programs
  RESERVED  free, but promised to a process that has not touched them yet
  FREE      free for anyone
  VMHUGE    added by vmhuge for guests or by vmhuge prepare
  CAN MAKE  how many more the kernel could allocate right now, without compaction

The columns of the guests:

  RAM          the guest's memory
  BACKING      what its XML asks for: a page size, thp or none
  ON HUGE      how much of its RAM is on huge pages, as a bar
  PAGES, HUGE  the same in percent, from the kernel's accounting; ? if it is unknown
  NODES        the NUMA nodes that hold its RAM
  RETURNED BY  what frees its pages when it stops: kernel (at once), hook (libvirt
               calls it), or vmhuge (the next vmhuge command)

FILES
  /sys/devices/system/node/
  /run/vmhuge/claims/
  /run/vmhuge/hook.log
EXIT STATUS
  0
  1
  2`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "watch", Usage: "refresh every two seconds until Ctrl-C"}},
		Action: func(c *cli.Context) error {
			names, err := anyNames(c)
			if err != nil {
				return err
			}
			if c.Bool("watch") {
				return p.watch(c.Context, names)
			}
			s := p.readStatus(names)
			if s.err != nil && (p.json || s.Pools == nil) {
				return s.err
			}
			if p.json {
				p.printStatus(s)
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

// hostStatus is a status as far as it could be read.
type hostStatus struct {
	launcher.Status
	unreachable error // no libvirt answers: the pools are there all the same
	err         error
}

func (p *program) readStatus(names []string) (s hostStatus) {
	l, err := p.connect()
	switch {
	case err == nil:
		defer l.Close()
		s.Status, s.err = l.Status(names)
	case len(names) == 0:
		s.unreachable = err
		s.Status, s.err = launcher.ReadHostStatus(p.host())
	default:
		s.err = err
	}
	return s
}

func (p *program) printStatus(s hostStatus) {
	answer := struct {
		launcher.Status
		DomainsError *jsonError `json:"domains_error,omitempty"`
	}{Status: s.Status}
	if s.unreachable != nil { // that there are no domains is not known
		told := errorOf(s.unreachable)
		answer.DomainsError = &told
	}
	p.printJSON(answer)
}

// watch draws the status again and again: on a terminal in place, else block
// after block, each under the time it was read. A libvirt that does not answer
// keeps nobody from ending it.
func (p *program) watch(ctx context.Context, names []string) error {
	if p.json {
		return usage("--watch and --json cannot be combined")
	}
	inPlace := terminal(p.stdout)
	if inPlace {
		p.say("\x1b[H\x1b[2J")
	}
	for {
		read := make(chan hostStatus, 1)
		go func() { read <- p.readStatus(names) }()
		select {
		case <-ctx.Done():
			return nil
		case s := <-read:
			if s.err != nil && s.Pools == nil {
				return s.err
			}
			if !p.quiet {
				p.drawAgain(s, inPlace)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

func (p *program) drawAgain(s hostStatus, inPlace bool) {
	style := p.style(p.stdout)
	lines := append([]string{style.Rule(time.Now().Format(time.DateTime))}, s.lines(style)...)
	for _, err := range []error{s.unreachable, s.err} {
		if err != nil {
			lines = append(lines, style.Paint(picture.Red, "! "+oneLine(err.Error())))
		}
	}
	for _, line := range s.wrong(os.Geteuid() == 0) {
		lines = append(lines, style.Paint(picture.Red, "! "+line))
	}
	if !inPlace {
		fmt.Fprintln(p.stdout, strings.Join(lines, "\n")+"\n")
		return
	}
	if _, rows := screen(p.stdout); rows > 1 && len(lines) >= rows {
		lines = append(lines[:rows-2], fmt.Sprintf("and %d lines more", len(lines)-rows+2))
	}
	// Over what is there, so that nothing flickers: each line to its end, and
	// then what is below.
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, line := range lines {
		b.WriteString(style.Cut(line, style.Width) + "\x1b[K\n")
	}
	fmt.Fprint(p.stdout, b.String()+"\x1b[J")
}

// lines is what there is to see.
func (s hostStatus) lines(style picture.Style) []string {
	lines := style.Pools(poolPictures(s.Pools))
	lines = append(lines, "")
	if len(s.Domains) > 0 {
		header, guests := style.Guests(guestPictures(s.Domains))
		lines = append(append(append(lines, header), guests...), "")
	}
	for _, m := range s.Mounts {
		lines = append(lines, fmt.Sprintf("mount  %s, pages of %s", m.Point, m.Size))
	}
	lines = append(lines, "hook   "+s.Hook.String())
	for _, settled := range s.Settled {
		lines = append(lines, oneLine(settled.String()))
	}
	return lines
}

// wrong is what is not as it should be, each in a line.
func (s hostStatus) wrong(root bool) []string {
	var lines []string
	if unknown := func(d launcher.DomainStatus) bool { return d.ProofUnknown != "" }; !root && slices.ContainsFunc(s.Domains, unknown) {
		lines = append(lines, "only root can see what backs the guests' RAM; run vmhuge as root")
	}
	for _, d := range s.Domains {
		switch {
		case d.ProofUnknown != "" && root:
			lines = append(lines, oneLine(d.Name+": "+d.ProofUnknown))
		case d.Proof != nil && d.Proof.Verdict != hostprep.AllHuge:
			lines = append(lines, oneLine(d.Name+": "+proofWords(*d.Proof)))
		}
	}
	for _, f := range s.Hook.Findings {
		lines = append(lines, findingWords(f))
	}
	for _, sentence := range s.SetAside {
		lines = append(lines, oneLine(sentence))
	}
	return lines
}

func poolPictures(status []launcher.PoolStatus) []picture.Pool {
	var pools []picture.Pool
	nodes := map[int]bool{}
	for _, s := range status {
		if s.Node >= 0 {
			nodes[s.Node] = true
		}
	}
	for _, s := range status {
		pool := picture.Pool{Node: s.Node, Size: s.Size, Total: s.Total, Free: s.Free, Reserved: s.Reserved, Ours: s.HeldByUs, CouldMake: -1}
		if s.Node >= 0 && len(nodes) > 1 {
			pool.Reserved = -1
		}
		if s.CouldMake != nil {
			pool.CouldMake = s.Now
		}
		pools = append(pools, pool)
	}
	return pools
}

func guestPictures(domains []launcher.DomainStatus) []picture.Guest {
	var guests []picture.Guest
	for _, d := range domains {
		g := picture.Guest{Name: oneLine(d.Name), State: string(d.State), RAMKiB: d.RAMKiB, Backing: d.Backing, Percent: -1, GivenBackBy: d.GivenBackBy}
		for _, total := range d.Totals {
			g.Sizes = append(g.Sizes, total.PageSize)
		}
		if d.ProofUnknown != "" {
			g.Percent = -2
		} else if d.Proof != nil {
			g.Percent, g.Nodes = d.Proof.BackedPercent, nodesOf(d.Proof.ByNode)
		}
		guests = append(guests, g)
	}
	return guests
}

func nodesOf(byNode map[string]int64) string {
	nodes, err := pages.ParseNodes(strings.Join(slices.Sorted(maps.Keys(byNode)), ","))
	if err != nil {
		return ""
	}
	return pages.FormatNodes(nodes)
}
