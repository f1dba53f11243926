package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/hold"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
)

// StartOptions is how a start goes about it.
type StartOptions struct {
	NoPrepare   bool           // change nothing on the host
	Paused      bool           // the guest's CPUs wait for virsh resume
	DryRun      bool           // only report
	DropCaches  bool           // drop the page cache if that makes room for huge pages
	HostReserve int64          // bytes of ordinary memory that the host keeps; 0: the rule's
	IfShort     *pages.IfShort // what to start on where pages are short; nil: what the definition says
	AtLeast     *float64       // percent of the RAM in use that transparent huge pages must back; nil: what the definition says
	Progress    Progress
}

// Progress, if not nil, hears what takes long: a step, and how many bytes of
// all are done, or 0 of 0.
type Progress func(step string, done, all int64)

func (p Progress) say(step string) {
	if p != nil {
		p(step, 0, 0)
	}
}

// Start gets the host ready for a domain, starts it, and proves that it sits
// on huge pages. A start that fails leaves the pools as they were. A report
// that is neither running nor ready says what was in the way.
func (l *Launcher) Start(ctx context.Context, name string, o StartOptions) (Report, error) {
	if err := l.needHost("starting " + name); err != nil {
		return Report{}, err
	}
	d, err := l.find(name)
	if err != nil {
		return Report{}, err
	}
	defer d.Free()
	r, err := l.start(ctx, d, o)
	if o.IfShort != nil {
		r.IfShort = *o.IfShort
	}
	if err == nil && r.mayFallBack() && (!r.Fixable || o.NoPrepare) && !l.isSaved(d) {
		r, err = l.startInstead(ctx, d, r, o)
	}
	if o.AtLeast != nil {
		r.AtLeast = *o.AtLeast
	}
	if err == nil && r.AtLeast > 0 && !o.DryRun && r.Active() && r.Backing == pages.THP {
		return l.promise(ctx, r, o)
	}
	return r, err
}

// start is Start for pages of one kind.
func (l *Launcher) start(ctx context.Context, d *domain, o StartOptions) (Report, error) {
	r, first := l.inspect(d, o.HostReserve)
	if d.state.active() {
		return l.running(d, r)
	}
	if first.err != nil {
		return r, advice.About(first.err, "starting %s", d.name)
	}
	if r.Backing == pages.None && r.Verdict != hostprep.BadDomain {
		why, do := "its XML asks for no huge pages", "run vmhuge enable "+shell.Operand(d.name)+" first"
		if first.saved == saved {
			why, do = "its saved state is from before it was enabled, without huge pages", "virsh managedsave-remove "+shell.Operand(d.name)+", or start it with virsh and shut it down"
		}
		return r, advice.New("starting "+d.name, why, do)
	}
	// The ledger is root's. Who is not has pages that are there already, and
	// the kernel lets only so many guests take them.
	root := os.Geteuid() == 0 && r.Backing == pages.Hugetlb
	// Pages that were missing a moment ago, while other guests started, may be
	// there now: that is for the ledger to say.
	mayHold := r.Fixable || (r.Verdict == hostprep.NoMemory && root)
	if o.DryRun || (!r.Ready && (!mayHold || o.NoPrepare)) {
		return r, nil
	}
	if !o.NoPrepare {
		if err := l.mend(&r); err != nil {
			return r, advice.About(err, "starting %s", d.name)
		}
	}
	if root {
		short, err := l.hold(ctx, d, first.guest, &r, o)
		if errors.Is(err, context.Canceled) {
			return r, interrupted(d.name)
		}
		if err != nil || short {
			return r, advice.About(err, "starting %s", d.name)
		}
	}
	if err := l.create(ctx, d, o); err != nil {
		// Not the caller's context: the pages must go back after Ctrl-C too.
		_, _, rerr := l.giveBack(context.WithoutCancel(ctx), d.uuid)
		if rerr == nil {
			r.Changed = slices.DeleteFunc(r.Changed, func(c change.Change) bool { return c.Kind == change.KindPool })
		}
		return r, errors.Join(err, rerr)
	}
	if root {
		if err := l.settled(context.WithoutCancel(ctx), d.uuid); err != nil {
			return r, err
		}
	}
	d.state = Running
	if o.Paused {
		d.state = Paused
	}
	r.State = d.state
	r, err := l.running(d, r)
	if err != nil {
		return r, err
	}
	return r, r.shortOfDemand()
}

// shortOfDemand is the error of a guest that started without the pages that
// its XML demands: that happens, and nobody else says so.
func (r Report) shortOfDemand() error {
	var want int64
	for _, item := range r.Demand {
		if item.Kind == pages.Growth {
			continue
		}
		want += item.Pages * item.PageSize.KiB()
	}
	if got := r.Proof.Hugetlb(); got < want {
		return advice.New("verifying "+r.Name, fmt.Sprintf("it runs, but %s of its memory is on hugetlb pages, not %s",
			pages.FormatKiB(got), pages.FormatKiB(want)),
			"shut it down and run vmhuge check "+shell.Operand(r.Name))
	}
	return nil
}

// mend applies the changes that the findings carry; pages are held after.
func (l *Launcher) mend(r *Report) error {
	changes := hostprep.Fixes(r.Findings)
	if len(changes) == 0 {
		return nil
	}
	if err := (journal.Journal{Host: l.host}).Apply(changes); err != nil {
		return err
	}
	r.Changed = append(r.Changed, changes...)
	return nil
}

// hold gets the pages for a domain and writes down that they are its own.
// short: the host could not give them, and the report says why. libvirt is not
// asked: the hook of another guest may wait for the ledger, and libvirtd for the
// hook.
func (l *Launcher) hold(ctx context.Context, d *domain, guest hostprep.Guest, r *Report, o StartOptions) (short bool, err error) {
	owner, err := process.Find(l.host.Root, os.Getpid())
	if err != nil {
		return false, err
	}
	o.Progress.say("waiting for another program that is changing the pools")
	book, err := ledger.Open(ctx, l.host.Root)
	if err != nil {
		return false, err
	}
	defer l.closeLedger(book, d.uuid)
	claim := hostprep.NewClaim(guest.Demand, d.uuid, d.name)
	claim.Owner = owner
	if o.NoPrepare {
		if err = book.Begin(claim); err == nil {
			_, err = book.KeepFor(d.uuid, guest.Demand.Keep)
		}
		return false, err
	}
	held := hold.Options{Reserve: o.HostReserve, Foresee: true, Effort: pool.Effort{DropCaches: o.DropCaches}}
	held.Effort.Progress = o.Progress
	changed, refusal, err := hold.Pages(ctx, l.host, book, claim, guest, held)
	r.Changed = append(r.Changed, changed...)
	known := func(f hostprep.Finding) bool {
		return f.Severity == hostprep.Blocker && f.Check == refusal.Check && !f.Fixable
	}
	if refusal != nil && !slices.ContainsFunc(r.Findings, known) {
		r.add(*refusal)
	}
	return refusal != nil, err
}

// add puts a finding that appeared while starting into the report.
func (r *Report) add(f hostprep.Finding) {
	r.Findings = append(r.Findings, f)
	r.Verdict, r.Ready, r.Fixable = hostprep.Conclude(r.Findings)
}

// create starts the domain. libvirt's call can't be interrupted, but a destroy
// beside it ends the QEMU that it waits for.
func (l *Launcher) create(ctx context.Context, d *domain, o StartOptions) error {
	o.Progress.say("starting")
	flags := libvirt.DOMAIN_NONE
	if o.Paused {
		flags = libvirt.DOMAIN_START_PAUSED
	}
	done := make(chan error, 1)
	go func() {
		if d.instead {
			done <- l.createOnce(d, flags)
		} else {
			done <- d.CreateWithFlags(flags)
		}
	}()
	select {
	case err := <-done:
		if err != nil {
			return refusedBy(err, "starting "+d.name, Names(l.host, d.name))
		}
		return nil
	case <-ctx.Done():
		// Too early, and there is nothing to destroy yet: look again after.
		_ = d.Destroy()
		if err := <-done; err == nil {
			_ = d.Destroy()
		}
		return interrupted(d.name)
	}
}

func interrupted(name string) error {
	return advice.New("starting "+name, "interrupted", "the guest does not run, and its pages were freed")
}

// settled records that a guest runs. If it has ended meanwhile, its pages are freed,
// and a notice says so.
func (l *Launcher) settled(ctx context.Context, uuid string) error {
	book, err := ledger.Open(ctx, l.host.Root)
	if err != nil {
		return err
	}
	defer l.closeLedger(book, "")
	return book.Started(uuid)
}

// closeLedger closes the ledger, and keeps for the user to hear what it set right for others
// than a guest.
func (l *Launcher) closeLedger(book *ledger.Ledger, except string) {
	book.Close()
	l.Notices = append(l.Notices, book.Notices(except)...)
}
