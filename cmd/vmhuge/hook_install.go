package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) hookInstall(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return err
	}
	dryRun := c.Bool("dry-run")
	if err := needRoot("installing the hook", dryRun); err != nil {
		return err
	}
	host := p.host()
	if c.IsSet("libvirt-prefix") {
		if err := libvirtd.LocateIn(host, c.String("libvirt-prefix")); err != nil {
			return err
		}
	}
	settings, err := hookSettings(c, host)
	if err != nil {
		return err
	}
	version := launcher.LibraryVersion()
	if version == 0 && !p.quiet {
		p.warn("libvirt's version is unknown; assuming 6.5 or newer")
	}
	changes, err := hook.Plan(host, hook.Options{Settings: settings, Libvirt: version})
	if err != nil {
		return err
	}
	changed, done := changes, "done"
	if dryRun {
		changed, done = nil, "would"
	} else if err := hook.Install(host, changes); err != nil {
		return err
	}
	answer := func(needed, reloaded bool) map[string]any {
		return map[string]any{"changed": changed, "changes": changes, "settings": settings, "reload_needed": needed, "reloaded": reloaded}
	}
	// A dry run asks of a daemon that runs now what an installation would.
	deaf, err := hook.ReloadPlan(host)
	err = advice.About(err, "looking for libvirt's running daemon")
	reload := deaf != nil && c.Bool("reload")
	if reload && !dryRun {
		err = p.reload(host, *deaf)
	}
	for _, change := range changes {
		p.say("hook: %s: %s", done, changeWords(change))
	}
	if err != nil {
		return halfway{err, answer(true, false)}
	}
	if p.json {
		p.printJSON(answer(deaf != nil && (dryRun || !reload), reload && !dryRun))
		return nil
	}
	if len(changes) == 0 && !reload {
		p.say("hook: nothing to do, it is installed")
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
func hookSettings(c *cli.Context, host host.Host) (hook.Settings, error) {
	settings, err := hook.ReadSettings(host)
	if err != nil {
		return settings, advice.Wrap(err, "reading the settings of the hook", "fix that file or remove it")
	}
	if c.IsSet("drop-if-short") {
		settings.DropIfShort = c.Bool("drop-if-short")
	}
	if c.IsSet("host-reserve") {
		reserve, err := hostReserve(c)
		if err != nil {
			return settings, err
		}
		settings.HostReserveKiB = (reserve + pages.KiB - 1) / pages.KiB
	}
	return settings, nil
}

// reload waits for the daemon first: one that is still starting takes no
// notice of a reload, and answers nobody until it is done.
func (p *program) reload(host host.Host, d libvirtd.Daemon) error {
	report, clear := p.progress(d.Name)
	defer clear()
	report("waiting until it answers, to reload it", 0, 0)
	if l, err := launcher.Open("", host); err == nil {
		l.Close()
	}
	return hook.Reload(host, d)
}
