package main

import (
	"os/user"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/prepare"
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
  vmhuge prepare --pages 1024 --size 2M --node 0
  vmhuge prepare --persist --on-demand 16G
  vmhuge prepare --pages 512 --size 2M --for ovs-vswitchd
  vmhuge prepare --demote 1 --node 0`,
		Description: `Sets up what the named domains need: hugetlbfs mounts, folders, groups, AppArmor
rules and pages. Without a name it does so for all domains with autostart. With
--persist this survives reboots. Each change is recorded before it is made, and
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
			&cli.Int64Flag{Name: "pages", Usage: "`N` grow the pool to at least this many pages, for any guest or program"},
			&cli.StringFlag{Name: "size", Usage: "`SIZE` page size for --pages (default: the kernel's)"},
			&cli.IntFlag{Name: "node", Usage: "`NODE` NUMA node for --pages (default: any)", Value: -1},
			&cli.Int64Flag{Name: "demote", Usage: "`N` split this many free pages of 1 GiB, or of --size, into smaller ones"},
			&cli.StringSliceFlag{Name: "on-demand", Usage: "`SIZE[@NODE]` set aside an area for 1 GiB pages from the next boot on (hugetlb_cma)"},
			&cli.BoolFlag{Name: "free-vmemmap", Usage: "free the page structs of huge pages (hugetlb_free_vmemmap)"},
			&cli.BoolFlag{Name: "overcommit", Usage: "reserve no pages: the kernel allocates them at a start (not with --pages)"},
			&cli.StringFlag{Name: "for", Usage: "`PROGRAM` reserve the --pages for this program, not guests (--pages 0 ends that)"},
			hostReserveFlag(),
			&cli.BoolFlag{Name: "drop-caches", Usage: "drop the host's page cache if too few pages can be allocated"},
			&cli.BoolFlag{Name: "restart-libvirt", Usage: "restart the libvirt daemon if it has to reread mounts or qemu.conf"},
			mountGroupFlag(),
			&cli.StringFlag{Name: "user", Usage: "`NAME` set the host up for this user's plain QEMU and qemu:///session"},
			&cli.StringFlag{Name: "shm-group", Usage: "`GROUP` let this group map huge pages with shmget (vm.hugetlb_shm_group)"},
			&cli.BoolFlag{Name: "default-hugepagesz", Usage: "make this page size the kernel's default, on its command line"},
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
	if len(names) > 0 || (len(want.Pages) == 0 && want.Demote == nil && want.OnDemand == nil && want.FreeStructs == nil && want.User == "" && want.MountGroup == "") {
		l, err = p.connect()
		if err != nil {
			return err
		}
		defer l.Close()
		defer p.notices(l)
		if len(names) == 0 {
			names, err = l.Autostart()
		} else {
			names, err = l.Expand(names)
		}
		if err != nil {
			return err
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
	var host prepare.Result
	if len(names) == 0 || len(want.Guests)+len(want.Running) > 0 { // else for none of them
		host, err = p.prepareHost(c, want)
		if err != nil {
			p.showDone(host)
			return halfway{err, map[string]any{"host": host}}
		}
	}
	return p.prepared(c, l, domains, host, want.Reserve)
}

// prepareHost makes what the host lacks, or says what it would make.
func (p *program) prepareHost(c *cli.Context, want prepare.Options) (prepare.Result, error) {
	if c.Bool("dry-run") {
		return prepare.Would(p.host(), want)
	}
	report, clear := p.progress("prepare")
	defer clear()
	done, err := prepare.Do(c.Context, p.host(), want, pool.Effort{DropCaches: c.Bool("drop-caches"), Progress: report})
	p.tell(done.Notices)
	return done, err
}

// mountGroupFlag may stand with or without a group.
func mountGroupFlag() cli.Flag {
	return &optionalFlag{
		StringFlag: &cli.StringFlag{Name: "mount-group", Usage: "`GROUP` let this group create files on the mounts (without a value: QEMU's)"},
		takes:      func(word string) bool { _, err := user.LookupGroup(word); return err == nil },
	}
}

func (p *program) showDone(host prepare.Result) {
	for _, change := range host.Changed {
		p.say("prepare: done: %s", changeWords(change))
	}
}
