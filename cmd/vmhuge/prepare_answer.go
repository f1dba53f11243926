package main

import (
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/prepare"
	"vmhuge/launcher"
)

// prepared tells what was done, restarts libvirt's daemon where that was asked for
// and is needed, and looks at the domains again.
func (p *program) prepared(c *cli.Context, l *launcher.Launcher, domains []outcome[launcher.Report], host prepare.Result, reserve int64) error {
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
			d.answer.Changed = append(changed, d.answer.Changed...)
			if d.err != nil {
				p.complain(d.err)
			}
		}
	}
	look()
	restart := host.Restart || restartNeeded(host.Findings) ||
		slices.ContainsFunc(domains, func(d outcome[launcher.Report]) bool { return restartNeeded(d.answer.Findings) })
	restarted := ""
	answer := func() map[string]any {
		return map[string]any{"host": host, "domains": domains, "restarted": restarted, "restart_needed": restart, "reboot_needed": host.Reboot}
	}
	if restart && c.Bool("restart-libvirt") && !dryRun {
		name, err := p.restartDaemon(c.Context, l)
		if err != nil {
			p.showPrepared(host, domains, dryRun)
			return halfway{err, answer()}
		}
		look()
		restarted, restart = name, false
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
		p.printJSON(answer())
		return answered(worst)
	}
	p.showPrepared(host, domains, dryRun)
	switch {
	case restarted != "":
		p.say("prepare: done: restart %s", restarted)
	case restart && c.Bool("restart-libvirt"):
		p.say("prepare: would: restart libvirt's daemon")
	case restart:
		p.warn("libvirt's daemon must be restarted to see the changes: run vmhuge prepare --restart-libvirt, or systemctl restart %s", libvirtd.Name(p.host()))
	}
	return answered(worst)
}

func (p *program) showPrepared(host prepare.Result, domains []outcome[launcher.Report], dryRun bool) {
	p.showDone(host)
	done := slices.Clone(host.Changed)
	would := func(f hostprep.Finding) {
		for _, ch := range f.Changes {
			same := func(c change.Change) bool { return c.Kind == ch.Kind && c.Path == ch.Path }
			if !slices.ContainsFunc(done, same) {
				p.sayWould(ch)
				done = append(done, ch)
			}
		}
	}
	wrong := false
	for _, f := range host.Findings {
		wrong = wrong || f.Severity == hostprep.Blocker || f.Verdict == hostprep.Unknown
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
	switch {
	case host.Reservation != nil && dryRun:
		p.say("prepare: would: %s", host.Reservation)
	case host.Reservation != nil:
		p.say("prepare: done: %s", host.Reservation)
	}
	if len(done) == 0 && !wrong && host.Reservation == nil {
		p.say("prepare: nothing to do")
	}
}

func restartNeeded(findings []hostprep.Finding) bool {
	return slices.ContainsFunc(findings, func(f hostprep.Finding) bool { return f.Restart })
}

func (p *program) restartDaemon(ctx context.Context, l *launcher.Launcher) (string, error) {
	if l == nil {
		var err error
		l, err = p.connect()
		if err != nil {
			return "", err
		}
		defer l.Close()
	}
	report, clear := p.progress("prepare")
	defer clear()
	report("restarting libvirt's daemon", 0, 0)
	return l.RestartDaemon(ctx)
}
