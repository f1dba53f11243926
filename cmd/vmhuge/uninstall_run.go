package main

import (
	"context"
	"slices"

	"vmhuge/hostprep/ledger"
	"vmhuge/launcher"
)

// uninstalled is what was done, step for step, or with a dry run would be.
type uninstalled struct {
	Domains []outcome[launcher.Edit] `json:"domains"`
	Hook    hookRemoved              `json:"hook"`
	Host    undone                   `json:"host"`
	// Orphans are files with the former XML of domains that libvirt does not have.
	Orphans []string `json:"orphans"`
}

// uninstall takes the steps in an order in which each kill leaves a host that works:
// domains that need no pages first, then who gets pages, then the pages.
func (p *program) uninstall(ctx context.Context, dryRun bool) (*uninstalled, error) {
	l, err := p.connect()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	enabled, orphans, err := l.Enabled()
	if err != nil {
		return nil, err
	}
	u := &uninstalled{Orphans: orphans}
	worst := exitDone
	for _, uuid := range enabled {
		edit, err := l.Disable(uuid, dryRun)
		u.Domains = append(u.Domains, outcome[launcher.Edit]{uuid, edit, err})
		if err != nil {
			p.complain(err)
			worst = exitFailed
			continue
		}
		p.showEdit(edit, "disabled", dryRun)
	}
	if worst != exitDone {
		p.warn("the hook and the host were left as they are, since a domain above still needs them")
		return u, answered(worst)
	}
	if u.Hook, err = p.removeHook(dryRun); err != nil {
		return nil, halfway{p.halfRemoved(u.Hook, err), u}
	}
	worst = max(worst, p.showHookRemoved(u.Hook, dryRun))
	if u.Host, err = p.undo(ctx, dryRun, enabled); err != nil {
		return nil, halfway{p.halfUndone(u.Host, dryRun, err), u}
	}
	worst = max(worst, p.showUndone(u.Host, dryRun))
	for _, file := range orphans {
		p.warn("left as it is: %s: the original XML of a domain that this libvirt does not have; delete it if you do not need it", file)
	}
	if claims, err := ledger.ReadClaims(p.host().Root); err != nil {
		return nil, halfway{err, u}
	} else if !dryRun && slices.ContainsFunc(claims, func(c ledger.Claim) bool { return len(c.Grants) > 0 }) {
		worst = exitFailed
	}
	switch {
	case worst != exitDone:
		p.warn("something is left: run vmhuge uninstall --yes again after the guests have stopped")
	case !dryRun:
		p.say("uninstalled; the package can be removed now")
	}
	return u, answered(worst)
}
