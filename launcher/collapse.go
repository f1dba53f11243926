package launcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/collapse"
	"vmhuge/hostprep/process"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// Collapsed is what became of a running domain's RAM.
type Collapsed struct {
	Name  string `json:"name"`
	UUID  string `json:"uuid"`
	State State  `json:"state"`
	collapse.Result
}

// Collapse makes the RAM of a running domain huge.
func (l *Launcher) Collapse(ctx context.Context, name string, o collapse.Options) (Collapsed, error) {
	what := "collapsing " + name
	if err := l.needHost(what); err != nil {
		return Collapsed{}, err
	}
	if ctx.Err() != nil {
		return Collapsed{}, advice.New(what, "interrupted", "")
	}
	d, err := l.find(name)
	if err != nil {
		return Collapsed{}, err
	}
	defer d.Free()
	what = "collapsing " + d.name
	c := Collapsed{Name: d.name, UUID: d.uuid, State: d.state}
	if !d.state.active() {
		return c, advice.New(what, "it does not run", "start it: vmhuge start "+shell.Operand(d.name))
	}
	running, err := process.FindGuests(l.host.Root)
	if err != nil {
		return c, err
	}
	qemu, _, _, err := l.memory(what, d, running)
	if err != nil {
		return c, err
	}
	c.Result, err = collapse.Run(ctx, l.host, collapse.Guest{Process: qemu, UUID: d.uuid, RAM: func() (collapse.RAM, error) {
		_, kib, backends, err := l.memory(what, d, running)
		return collapse.RAM{KiB: kib, Backends: backends}, err
	}}, o)
	return c, advice.About(err, "%s", what)
}

// UsualCollapse is what vmhuge collapse does without flags.
func UsualCollapse(dryRun bool, progress Progress) collapse.Options {
	return collapse.Options{AtLeast: 95, Budget: startBudget, Node: -1, DryRun: dryRun, Progress: func(done, all int64) {
		if progress != nil {
			progress("collapsing", done, all)
		}
	}}
}

// THPRun is a domain on transparent huge pages, from one start to its end.
type THPRun struct {
	Name, UUID string
	ID         uint    // libvirt gives each start another one
	AtLeast    float64 // percent of its RAM in use that must be on huge pages, if its XML says so
}

// THPRuns are the domains that run now and whose XML enable --thp has made. One that is still
// starting, or comes from another host, does not have its memory yet.
func (l *Launcher) THPRuns() ([]THPRun, error) {
	if err := l.needHost("collapsing guests"); err != nil {
		return nil, err
	}
	doms, err := l.conn.ListAllDomains(libvirt.CONNECT_LIST_DOMAINS_ACTIVE)
	if err != nil {
		return nil, refused(err, "listing the domains")
	}
	var runs []THPRun
	for i := range doms {
		run, ready, readErr := l.thpRun(&doms[i])
		if ready {
			runs = append(runs, run)
		}
		if readErr != nil && !isGone(readErr) {
			err = errors.Join(err, refused(readErr, "reading a domain"))
		}
		_ = doms[i].Free()
	}
	return runs, err
}

func (l *Launcher) thpRun(dom *libvirt.Domain) (run THPRun, ready bool, err error) {
	state, reason, err := dom.GetState()
	if err != nil || !stateOf(state).active() || state == libvirt.DOMAIN_PAUSED &&
		(reason == int(libvirt.DOMAIN_PAUSED_STARTING_UP) || reason == int(libvirt.DOMAIN_PAUSED_MIGRATION)) {
		return run, false, err
	}
	live, err := dom.GetXMLDesc(0)
	if err != nil {
		return run, false, err
	}
	demand, err := l.demand([]byte(live))
	if err != nil || demand.Backing != pages.THP {
		return run, false, nil
	}
	run.Name, run.UUID, run.AtLeast = demand.Domain, demand.UUID, demand.AtLeast
	run.ID, err = dom.GetID()
	return run, err == nil, err
}

// startBudget is how long a start collapses.
const startBudget = 30 * time.Second

// promise collapses the RAM of a domain that runs until so many percent of what it uses are on
// huge pages, and proves it.
func (l *Launcher) promise(ctx context.Context, r Report, o StartOptions) (Report, error) {
	o.Progress.say("collapsing its memory")
	c, err := l.Collapse(ctx, r.UUID, collapse.Options{AtLeast: r.AtLeast, Budget: startBudget, Node: -1, Progress: func(done, all int64) {
		if o.Progress != nil {
			o.Progress("collapsing its memory", done, all)
		}
	}})
	if err != nil {
		return r, err
	}
	proven, err := l.Verify(r.UUID)
	if err != nil {
		return r, err
	}
	r.Proof = proven.Proof
	if !c.Reached {
		return r, &advice.Error{What: "verifying " + r.Name, Why: fmt.Sprintf("it runs, but %g %% of its RAM in use is on huge pages, not %g %%", c.Percent, r.AtLeast),
			Do: "see why: vmhuge collapse " + shell.Operand(r.Name), Kind: advice.NoMemory}
	}
	return r, nil
}
