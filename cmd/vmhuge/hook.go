package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

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

FILES
  /etc/libvirt/hooks/qemu.d/90-vmhuge
  /usr/lib/vmhuge/vmhuge-hook
  /etc/vmhuge/hook.json
  /var/lib/vmhuge/hook.json
EXIT STATUS
  0  installed, or it was already
  1
  2`,
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "reload", Usage: "reload libvirtd or virtqemud if needed"},
					&cli.BoolFlag{Name: "drop-if-short", Usage: "restore a saved guest without huge pages if there are too few"},
					&cli.StringFlag{Name: "host-reserve", Usage: reserveUsage},
					dryRun,
				},
				Action: p.hookInstall,
			},
			{
				Name:      "remove",
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

func (p *program) hookInstall(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return err
	}
	dryRun := c.Bool("dry-run")
	if err := needRoot("installing the hook", dryRun); err != nil {
		return err
	}
	host := p.host()
	settings, err := hookSettings(c, host)
	if err != nil {
		return err
	}
	version := launcher.LibraryVersion()
	if version == 0 && !p.quiet {
		p.warn("libvirt's version is unknown; assuming 6.5 or newer")
	}
	changes, err := host.HookPlan(hostprep.HookOptions{Settings: settings, Libvirt: version})
	if err != nil {
		return err
	}
	changed, done := changes, "done"
	if dryRun {
		changed, done = nil, "would"
	} else if err := host.InstallHook(changes); err != nil {
		return err
	}
	// A dry run asks of a daemon that runs now what an installation would.
	deaf, err := host.HookReload()
	if err != nil {
		return advice.About(err, "looking for the running libvirtd")
	}
	reload := deaf != nil && c.Bool("reload")
	if reload && !dryRun {
		if err := p.reload(host, *deaf); err != nil {
			return err
		}
	}
	if p.json {
		p.printJSON(map[string]any{"changed": changed, "changes": changes, "settings": settings,
			"reload_needed": deaf != nil && (dryRun || !reload), "reloaded": reload && !dryRun})
		return nil
	}
	if len(changes) == 0 && !reload {
		p.say("hook: nothing to do, it is installed")
	}
	for _, change := range changes {
		p.say("hook: %s: %s", done, change)
	}
	switch {
	case reload:
		p.say("hook: %s: kill -HUP %d (%s then looks for hooks)", done, deaf.PID, deaf.Name)
	case deaf != nil:
		p.warn("the hook is not called yet: %s; run vmhuge hook install --reload, or systemctl reload %s", deaf.LooksNoMore(), deaf.Name)
	}
	return nil
}

// hookSettings returns the settings that stand, with those that flags name.
func hookSettings(c *cli.Context, host hostprep.Host) (hostprep.HookSettings, error) {
	settings, err := host.HookSettings()
	if err != nil {
		return settings, advice.Wrap(err, "reading the settings of the hook", "fix that file or remove it")
	}
	if c.IsSet("drop-if-short") {
		settings.DropIfShort = c.Bool("drop-if-short")
	}
	if c.IsSet("host-reserve") {
		reserve, err := pages.ParseBytes(c.String("host-reserve"))
		if err != nil {
			return settings, usage("--host-reserve: %s", err)
		}
		settings.HostReserveKiB = (reserve + pages.KiB - 1) / pages.KiB
	}
	return settings, nil
}

// reload waits for the daemon first: one that is still starting takes no
// notice of a reload, and answers nobody until it is done.
func (p *program) reload(host hostprep.Host, d hostprep.Daemon) error {
	report, clear := p.progress(d.Name)
	defer clear()
	report("waiting until it answers, to reload it", 0, 0)
	if l, err := launcher.Open("", host); err == nil {
		l.Close()
	}
	return host.ReloadDaemon(d)
}

func (p *program) hookRemove(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return err
	}
	if err := needRoot("removing the hook", false); err != nil {
		return err
	}
	host, done := p.host(), "done"
	var changes, changed []hostprep.Change
	var left []hostprep.Left
	var err error
	if c.Bool("dry-run") {
		done = "would"
		changes, err = host.HookRemoval()
	} else {
		changed, left, err = host.RemoveHook()
		changes = changed
	}
	if err != nil {
		return err
	}
	if p.json {
		p.printJSON(map[string]any{"changed": changed, "changes": changes, "left": left})
	}
	if len(changes)+len(left) == 0 {
		p.say("hook: not installed")
	}
	for _, change := range changes {
		p.say("hook: %s: %s", done, change)
	}
	return p.leftAsItIs(left)
}

func (p *program) hookStatus(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return err
	}
	s, err := p.host().HookStatus()
	if errors.Is(err, fs.ErrPermission) {
		return advice.Wrap(err, "looking at the hook", "run vmhuge as root")
	}
	if err != nil {
		return advice.About(err, "looking at the hook")
	}
	say, code := p.say, exitDone
	if !s.Ready {
		say, code = p.insist, exitNotReady
	}
	if p.json {
		p.printJSON(map[string]any{"hook": s})
		return answered(code)
	}
	say("hook: %s", s)
	for _, f := range s.Findings {
		p.insist("  %s", findingWords(f))
	}
	if s.Installed {
		p.say("  settings: %s", settingsWords(s.Settings))
		p.say("  last call: %s", callWords(s.LastCall))
	}
	return answered(code)
}

func settingsWords(s hostprep.HookSettings) string {
	words := []string{"a guest that is restored where there is no room fails"}
	if s.DropIfShort {
		words[0] = "a guest that is restored where there is no room loses its huge pages"
	}
	if s.HostReserveKiB > 0 {
		words = append(words, "the host keeps "+pages.FormatBytes(s.HostReserveKiB*pages.KiB))
	}
	return strings.Join(words, "; ")
}

// callWords is a call in one line: when, for what, and what came of it.
func callWords(e *hostprep.HookEvent) string {
	if e == nil {
		return "none since boot"
	}
	text := fmt.Sprintf("%s, %s of %s: %s", e.Time.Local().Format(time.DateTime), e.Operation, e.Name, e.Result)
	if e.Why != "" {
		text += " (" + e.Why + ")"
	}
	return oneLine(text)
}

// needRoot refuses who may not write, before half of it is done.
func needRoot(what string, dryRun bool) error {
	if dryRun || os.Geteuid() == 0 {
		return nil
	}
	return advice.New(what, "permission denied", "run vmhuge as root")
}
