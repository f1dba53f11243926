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
	dryRun := &cli.BoolFlag{Name: "dry-run", Usage: "only say what would be done"}
	return &cli.Command{
		Name:      "hook",
		Usage:     "have libvirt call vmhuge before it starts a guest, whoever starts it",
		ArgsUsage: "install|remove|status",
		UsageText: `  vmhuge hook install --reload
  vmhuge hook status`,
		Description: `With the hook in place a start by virsh, virt-manager or autostart gets the
pages that it lacks, as vmhuge start does, and they go back when the guest ends.`,
		Subcommands: []*cli.Command{
			{
				Name:  "install",
				Usage: "put the hook in place, or bring it up to date",
				UsageText: `  vmhuge hook install --dry-run
  vmhuge hook install --reload --host-reserve 8G`,
				Description: `It becomes /etc/libvirt/hooks/qemu.d/90-vmhuge; before libvirt 6.5, which has no
such folder, /etc/libvirt/hooks/qemu. A running daemon that found no hook when
it started calls none until it is reloaded. Settings that no flag names stay
as they are: --drop-if-short=false and --host-reserve 0 take them back.`,
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "reload", Usage: "reload the running libvirtd or virtqemud if it must be told"},
					&cli.BoolFlag{Name: "drop-if-short", Usage: "restore a guest without huge pages where there is no room"},
					&cli.StringFlag{Name: "host-reserve", Usage: "`SIZE` of ordinary memory that the host keeps (2G up to 64G of RAM, more above)"},
					dryRun,
				},
				Action: p.hookInstall,
			},
			{
				Name:      "remove",
				Usage:     "take the hook away, and all that its installation made",
				UsageText: "  vmhuge hook remove",
				Flags:     []cli.Flag{dryRun},
				Action:    p.hookRemove,
			},
			{
				Name:  "status",
				Usage: "is the hook installed, and does libvirt call it?",
				UsageText: `  vmhuge hook status
  vmhuge hook status --quiet || vmhuge hook install --reload`,
				Description: "Exit codes: 0 libvirt calls it at the next start of a guest, 3 it does not.",
				Action:      p.hookStatus,
			},
		},
		Action: func(*cli.Context) error { return usage("hook is one of install, remove and status") },
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
		p.warn("the version of libvirt is not known, and is taken for 6.5 or newer")
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
		return settings, advice.Wrap(err, "reading the settings of the hook", "mend that file or remove it")
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
	return advice.New(what, "only root may", "run vmhuge as root")
}
