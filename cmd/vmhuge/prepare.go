package main

import (
	"context"
	"os/user"
	"slices"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) prepareCommand() *cli.Command {
	return &cli.Command{
		Name:      "prepare",
		Usage:     "set the host up for a plain virsh start, now or for good",
		Category:  preparing,
		ArgsUsage: "[DOMAIN…]",
		UsageText: `  vmhuge prepare web1 --dry-run
  vmhuge prepare web1 db1 --persist
  vmhuge prepare --pages 1024 --size 2M --node 0`,
		Description: `Sets up what the named domains need: hugetlbfs mounts, folders, groups, AppArmor
rules and pages. Without a name it does so for all domains with autostart. With
--persist it holds after every reboot. Each change is recorded before it is made, and
vmhuge undo reverts it. A second run changes nothing.

FILES
  /etc/vmhuge/boot.json
  /etc/sysctl.d/99-vmhuge.conf
  /etc/systemd/system/vmhuge.service
  /etc/default/grub.d/vmhuge.cfg
  /var/lib/vmhuge/changes.json
  /run/vmhuge/claims/
EXIT STATUS
  0  the host is ready
  1
  2
  3
  4`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "persist", Usage: "also after a reboot: units or fstab, sysctl, kernel command line"},
			&cli.Int64Flag{Name: "pages", Usage: "`N` have at least this many pages in the pool, for any guest or program"},
			&cli.StringFlag{Name: "size", Usage: "`SIZE` page size for --pages (default: the kernel's)"},
			&cli.IntFlag{Name: "node", Usage: "`NODE` NUMA node for --pages (default: any)", Value: -1},
			&cli.BoolFlag{Name: "overcommit", Usage: "reserve no pages; let the kernel allocate them when a guest starts"},
			hostReserveFlag(),
			&cli.BoolFlag{Name: "drop-caches", Usage: "drop the host's page cache if too few pages can be allocated"},
			&cli.BoolFlag{Name: "restart-libvirt", Usage: "restart the libvirt daemon if it has to reread mounts or qemu.conf"},
			mountGroupFlag(),
			&cli.StringFlag{Name: "user", Usage: "`NAME` set it up for this user's plain QEMU and qemu:///session"},
			&cli.StringFlag{Name: "shm-group", Usage: "`GROUP` let this group map huge pages with shmget (vm.hugetlb_shm_group)"},
			&cli.BoolFlag{Name: "default-hugepagesz", Usage: "make the page size the kernel's default, on its command line"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, change nothing"},
			&cli.BoolFlag{Name: "boot", Hidden: true}, // the unit's
		},
		Action: p.prepare,
	}
}

func (p *program) prepare(c *cli.Context) error {
	dryRun := c.Bool("dry-run")
	if err := needRoot("preparing the host", dryRun); err != nil {
		return err
	}
	if c.Bool("boot") {
		return p.prepareBoot(c)
	}
	want, err := p.preparation(c)
	if err != nil {
		return err
	}
	names, err := anyNames(c)
	if err != nil {
		return err
	}
	var l *launcher.Launcher
	if len(names) > 0 || len(want.Pages) == 0 && want.User == "" && want.MountGroup == "" {
		if l, err = p.connect(); err != nil {
			return err
		}
		defer l.Close()
		defer p.notices(l)
		if len(names) == 0 {
			if names, err = l.Autostart(); err != nil {
				return err
			}
		}
	}
	domains := []outcome[launcher.Report]{}
	for _, name := range names {
		guest, running, err := l.Guest(name, want.Reserve)
		switch {
		case err != nil && len(names) == 1:
			return err
		case err != nil:
			p.complain(err)
		case running:
			want.Running = append(want.Running, guest)
		default:
			want.Guests = append(want.Guests, guest)
		}
		domains = append(domains, outcome[launcher.Report]{name: name, err: err})
	}
	var host hostprep.PreparedHost
	if len(names) == 0 || len(want.Guests)+len(want.Running) > 0 { // else for none of them
		if host, err = p.prepareHost(c, want); err != nil {
			p.showDone(host)
			return err
		}
	}
	return p.prepared(c, l, domains, host, want.Reserve)
}

// prepareHost makes what the host lacks, or says what it would make.
func (p *program) prepareHost(c *cli.Context, want hostprep.Preparation) (hostprep.PreparedHost, error) {
	if c.Bool("dry-run") {
		return p.host().WouldPrepare(want)
	}
	report, clear := p.progress("prepare")
	defer clear()
	return p.host().DoPrepare(c.Context, want, pool.Effort{DropCaches: c.Bool("drop-caches"), Progress: report})
}

// prepared tells what was done, restarts libvirt's daemon where that was asked for
// and is needed, and looks at the domains again.
func (p *program) prepared(c *cli.Context, l *launcher.Launcher, domains []outcome[launcher.Report], host hostprep.PreparedHost, reserve int64) error {
	dryRun := c.Bool("dry-run")
	look := func() {
		for i := range domains {
			d := &domains[i]
			if d.err != nil {
				continue
			}
			changed := d.answer.Changed
			if dryRun {
				d.answer, d.err = l.Check(d.name)
			} else {
				d.answer, d.err = l.Mend(d.name, reserve)
			}
			if d.answer.Changed = append(changed, d.answer.Changed...); d.err != nil {
				p.complain(d.err)
			}
		}
	}
	look()
	restart := host.Restart || restartNeeded(host.Findings) ||
		slices.ContainsFunc(domains, func(d outcome[launcher.Report]) bool { return restartNeeded(d.answer.Findings) })
	restarted := ""
	if restart && c.Bool("restart-libvirt") && !dryRun {
		var err error
		if restarted, err = p.restartDaemon(c.Context, l); err != nil {
			p.showPrepared(host, domains, dryRun)
			return err
		}
		look()
		restart = false
	}
	worst := exitDone
	for _, f := range host.Findings {
		worst = max(worst, codeOfFinding(f, dryRun))
	}
	for _, d := range domains {
		if d.err != nil {
			worst = max(worst, codeOf(d.err))
		} else if !dryRun || !d.answer.Fixable {
			worst = max(worst, codeOfReport(d.answer))
		}
	}
	if p.json {
		p.printJSON(map[string]any{"host": host, "domains": domains, "restarted": restarted, "restart_needed": restart})
		return answered(worst)
	}
	p.showPrepared(host, domains, dryRun)
	switch {
	case restarted != "":
		p.say("prepare: done: restart %s", restarted)
	case restart && c.Bool("restart-libvirt"):
		p.say("prepare: would: restart libvirt's daemon")
	case restart:
		p.warn("libvirt's daemon must be restarted to see what has changed: run vmhuge prepare --restart-libvirt, or systemctl restart libvirtd")
	}
	return answered(worst)
}

func (p *program) showDone(host hostprep.PreparedHost) {
	for _, change := range host.Changed {
		p.say("prepare: done: %s", change)
	}
}

func (p *program) showPrepared(host hostprep.PreparedHost, domains []outcome[launcher.Report], dryRun bool) {
	p.showDone(host)
	done := slices.Clone(host.Changed)
	would := func(f hostprep.Finding) {
		for _, change := range f.Changes {
			same := func(c hostprep.Change) bool { return c.Kind == change.Kind && c.Path == change.Path }
			if !slices.ContainsFunc(done, same) {
				p.say("prepare: would: %s", change)
				done = append(done, change)
			}
		}
	}
	wrong := false
	for _, f := range host.Findings {
		wrong = wrong || f.Severity == hostprep.Blocker
		if dryRun && f.Fixable {
			would(f)
			continue
		}
		if f.Severity == hostprep.Note {
			p.say("prepare: %s", findingWords(f))
		} else {
			p.insist("prepare: %s", findingWords(f))
		}
	}
	for _, d := range domains {
		if d.err != nil {
			wrong = true
			continue
		}
		p.showReport(d.answer)
		for _, f := range d.answer.Findings {
			if dryRun && f.Severity == hostprep.Blocker {
				would(f)
			}
		}
		done = append(done, d.answer.Changed...)
	}
	if len(done) == 0 && !wrong {
		p.say("prepare: nothing to do")
	}
}

func restartNeeded(findings []hostprep.Finding) bool {
	return slices.ContainsFunc(findings, func(f hostprep.Finding) bool { return f.Restart })
}

// codeOfFinding is the exit code of what the host still lacks.
func codeOfFinding(f hostprep.Finding, dryRun bool) int {
	switch {
	case f.Severity != hostprep.Blocker || dryRun && f.Fixable:
		return exitDone
	case f.Verdict == hostprep.NoMemory:
		return exitNoMemory
	}
	return exitNotReady
}

func (p *program) restartDaemon(ctx context.Context, l *launcher.Launcher) (string, error) {
	if l == nil {
		var err error
		if l, err = p.connect(); err != nil {
			return "", err
		}
		defer l.Close()
	}
	report, clear := p.progress("prepare")
	defer clear()
	report("restarting libvirt's daemon", 0, 0)
	return l.RestartDaemon(ctx)
}

// mountGroupFlag may stand with or without a group.
func mountGroupFlag() cli.Flag {
	return &optionalFlag{
		StringFlag: &cli.StringFlag{Name: "mount-group", Usage: "`GROUP` let this group create files on the mounts (without a value: QEMU's)"},
		takes:      func(word string) bool { _, err := user.LookupGroup(word); return err == nil },
	}
}

// preparation reads the flags.
func (p *program) preparation(c *cli.Context) (hostprep.Preparation, error) {
	want := hostprep.Preparation{Persist: c.Bool("persist"), Overcommit: c.Bool("overcommit"), User: c.String("user"),
		ShmGroup: c.String("shm-group"), DefaultHugepagesz: c.Bool("default-hugepagesz")}
	var err error
	if want.Reserve, err = hostReserve(c); err != nil {
		return want, err
	}
	if c.IsSet("mount-group") {
		if want.MountGroup = c.String("mount-group"); want.MountGroup == "" {
			if want.MountGroup, err = p.host().MountGroup(); err != nil {
				return want, err
			}
		}
	}
	if !c.IsSet("pages") {
		if c.IsSet("size") || c.IsSet("node") {
			return want, usage("--size and --node need --pages")
		}
		return want, nil
	}
	need := pool.Need{Pages: c.Int64("pages")}
	if c.IsSet("size") {
		if need.Size, err = pages.ParseSize(c.String("size")); err != nil {
			return want, usage("--size: %s", err)
		}
	} else if mem, err := p.host().Meminfo(); err != nil {
		return want, err
	} else {
		need.Size = mem.HugePageSize
	}
	if c.IsSet("node") {
		need.Nodes = []int{c.Int("node")}
	}
	if need.Pages < 0 || c.IsSet("node") && need.Nodes[0] < 0 {
		return want, usage("--pages and --node cannot be negative")
	}
	want.Pages = []pool.Need{need}
	return want, nil
}

// prepareBoot is what the unit does: what the table of boot has.
func (p *program) prepareBoot(c *cli.Context) error {
	ledger, err := p.openLedger(c.Context, pool.PreparedUUID)
	if err != nil {
		return err
	}
	defer ledger.Close()
	changed, findings, err := p.host().HoldAtBoot(c.Context, ledger)
	for _, change := range changed {
		p.say("prepare: done: %s", change)
	}
	worst := exitDone
	for _, f := range findings {
		p.insist("prepare: %s", findingWords(f))
		worst = max(worst, codeOfFinding(f, false))
	}
	if err != nil {
		return err
	}
	return answered(worst)
}
