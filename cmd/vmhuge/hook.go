package main

import "github.com/urfave/cli/v2"

func (p *program) hookCommand() *cli.Command {
	dryRun := &cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, change nothing"}
	return &cli.Command{
		Name:      "hook",
		Usage:     "let virsh, virt-manager and autostart start guests on huge pages",
		Category:  preparing,
		ArgsUsage: "install|remove|status",
		UsageText: `  vmhuge hook install --reload
  vmhuge hook status`,
		Description: `With the hook installed, libvirt calls vmhuge before a guest starts and after it
stops; vmhuge allocates the missing pages and frees them, however the guest was
started. Guests without <hugepages> are not affected.

FILES
  /etc/libvirt/hooks/qemu.d/90-vmhuge
  /etc/vmhuge/hook.json
  /run/vmhuge/hook.log
EXIT STATUS
  0
  1
  2
  3  hook status: libvirt does not call the hook`,
		Subcommands: []*cli.Command{
			{
				Name:  "install",
				Usage: "install the hook, or update it",
				UsageText: `  vmhuge hook install --dry-run
  vmhuge hook install --reload --host-reserve 8G`,
				Description: `Copies the hook to /etc/libvirt/hooks/qemu.d/90-vmhuge; before libvirt 6.5, which
does not read that folder, to /etc/libvirt/hooks/qemu. A daemon that found no hook
when it started calls none until it is reloaded: --reload does that. Settings stay
as they are unless you give their flag: --drop-if-short=false and --host-reserve 0
reset them.

Where libvirt was built with other directories than /etc, /var and /run, the hook is
copied to its own; they are found from the running daemon, and kept in
/etc/vmhuge/libvirt.json.

FILES
  /etc/libvirt/hooks/qemu.d/90-vmhuge
  /usr/lib/vmhuge/vmhuge-hook
  /etc/vmhuge/hook.json
  /etc/vmhuge/libvirt.json
  /var/lib/vmhuge/hook.json
EXIT STATUS
  0  installed, or already was
  1
  2`,
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "reload", Usage: "reload libvirt's daemon if needed"},
					&cli.BoolFlag{Name: "drop-if-short", Usage: "restore a saved guest without huge pages if there are too few"},
					&cli.StringFlag{Name: "host-reserve", Usage: reserveUsage},
					&cli.StringFlag{Name: "libvirt-prefix", Usage: "`DIR` that a libvirt of your own is installed in, if it is not running"},
					dryRun,
				},
				Action: p.hookInstall,
			},
			{
				Name:      "remove",
				Aliases:   []string{"uninstall"},
				Usage:     "remove the hook and everything install added",
				UsageText: "  vmhuge hook remove",
				Description: `Removes the hook and the folder that install created, unless something else is in
it. Running guests are not affected; the pages vmhuge allocated for them are freed
by the next vmhuge command after they stop.

FILES
  /etc/libvirt/hooks/qemu.d/90-vmhuge
  /etc/vmhuge/hook.json
  /var/lib/vmhuge/hook.json
EXIT STATUS
  0  removed, or it was not installed
  1
  2`,
				Flags:  []cli.Flag{dryRun},
				Action: p.hookRemove,
			},
			{
				Name:  "status",
				Usage: "show whether the hook is installed and libvirt calls it",
				UsageText: `  vmhuge hook status
  vmhuge hook status --quiet || vmhuge hook install --reload`,
				Description: `Shows whether the hook is installed, whether libvirt will call it at the next start
of a guest, its settings and its last call.

FILES
  /etc/libvirt/hooks/qemu.d/90-vmhuge
  /etc/vmhuge/hook.json
  /run/vmhuge/hook.log
EXIT STATUS
  0  libvirt calls it at the next start of a guest
  1
  2
  3  libvirt does not call it`,
				Action: p.hookStatus,
			},
		},
		Action: func(*cli.Context) error { return usage("hook needs one of install, remove and status") },
	}
}
