package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/hold"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
	"vmhuge/internal/smaps"
	"vmhuge/internal/xmldiff"
	"vmhuge/xml"
)

// ResizeOptions is what memory a user asks for, and how a resize goes about it.
type ResizeOptions struct {
	KiB       int64      // by which it grows, negative: shrinks; or all that it shall have
	Absolute  bool       // KiB is all that it shall have
	Device    pages.Kind // DIMM, VirtioMem; "": what fits
	GuestNode int        // of the guest, that gets or gives it; -1: any
	Config    bool       // the definition changes, too
	DryRun    bool
	// Timeout is how long the guest may take to give up memory, or to plug it.
	Timeout     time.Duration
	HostReserve int64 // bytes of ordinary memory that the host keeps; 0: the rule's
	Progress    Progress
}

// Resized is what became of a domain's memory.
type Resized struct {
	Name   string `json:"name"`
	UUID   string `json:"uuid"`
	State  State  `json:"state"`
	DryRun bool   `json:"dry_run"`
	// Done says that the guest has grown or shrunk, Defined that its definition has.
	Done      bool            `json:"done"`
	Defined   bool            `json:"defined"`
	Device    pages.Kind      `json:"device,omitempty"`
	ByKiB     int64           `json:"by_kib"` // as asked for; negative: less
	BeforeKiB int64           `json:"before_kib"`
	AfterKiB  int64           `json:"after_kib"`
	PageSize  pages.Size      `json:"page_size_kib"` // 0: not known
	Changed   []change.Change `json:"changed"`
	GivenKiB  int64           `json:"given_back_kib"`
	OwedKiB   int64           `json:"owed_kib"`
	Diff      string          `json:"diff"` // of the definition
	Warnings  []string        `json:"warnings"`
	Proof     *proof.Proof    `json:"proof,omitempty"` // of the guest, after
}

// Resize grows or shrinks a domain that runs, on huge pages: the pages are there before libvirt
// is asked, and freed after the guest has given them up. A growth that fails leaves the guest and
// the pools as they were.
func (l *Launcher) Resize(ctx context.Context, name string, o ResizeOptions) (Resized, error) {
	d, err := l.find(name)
	if err != nil {
		return Resized{}, err
	}
	defer d.Free()
	what := "memory of " + d.name
	r := Resized{Name: d.name, UUID: d.uuid, State: d.state, DryRun: o.DryRun}
	if o.Config && !d.persistent {
		return r, advice.New(what, "it is transient: it has no definition that --config could change", "leave out --config")
	}
	if !d.state.active() {
		if !o.Config {
			return r, advice.New(what, "it does not run", "start it, or change its definition alone (--config)")
		}
		return l.redefine(d, what, r, o)
	}
	if err := l.needHost(what); err != nil {
		return r, err
	}
	err = l.resizeInTurn(ctx, d, what, o, &r)
	return r, err
}

// resizePlanned works out a change from the memory that a guest has now, and makes it.
func (l *Launcher) resizePlanned(ctx context.Context, d *domain, what string, o ResizeOptions, r *Resized) error {
	live, err := d.GetXMLDesc(0)
	if err != nil {
		return refused(err, what)
	}
	p, err := l.planResize([]byte(live), o)
	if err != nil {
		return blockedBy(err, what)
	}
	r.plan(p)
	if p.kib == 0 {
		return nil
	}
	if o.Config {
		if _, err := l.planDefinition(d, p, what, r); err != nil {
			return err
		}
	}
	if o.DryRun {
		return l.couldResize(d, p, what, o, r)
	}
	if err := l.resize(ctx, d, p, what, o, r); err != nil {
		return err
	}
	if !o.Config {
		return nil
	}
	// Anew: while the guest took its time, another may have changed its definition.
	definition, err := l.planDefinition(d, p, what, r)
	edit := Edit{}
	if err == nil {
		err = l.defineWhole(d, definition.doc, &edit)
	}
	r.Warnings = append(r.Warnings, edit.Warnings...)
	if err != nil {
		return advice.About(err, "%s: it has changed, but its definition has not", what)
	}
	r.Defined = true
	return nil
}

// planDefinition works out the change of a guest that runs for its definition.
func (l *Launcher) planDefinition(d *domain, p resizing, what string, r *Resized) (definition resizing, err error) {
	if d.xml, err = d.definition(); err != nil {
		return definition, err
	}
	same := ResizeOptions{KiB: p.kib, Device: p.kind, GuestNode: p.device.Node}
	if definition, err = l.planResize(d.xml, same); err != nil {
		return definition, blockedBy(err, what+" in its definition")
	}
	r.Diff = xmldiff.Unified(d.name+".xml before", d.xml, d.name+".xml", definition.doc)
	return definition, nil
}

// plan notes what is going to happen.
func (r *Resized) plan(p resizing) {
	r.Device, r.ByKiB, r.BeforeKiB, r.AfterKiB = p.kind, p.kib, p.before.TotalKiB, p.before.TotalKiB+p.kib
	if len(p.demand.Items) > 0 {
		r.PageSize = p.demand.Items[0].PageSize
	}
	if p.kind == pages.DIMM && p.kib > 0 && p.kib%(128<<10) != 0 {
		r.Warnings = append(r.Warnings, "Linux uses memory that is added in whole blocks of 128 MiB, and "+pages.FormatKiB(p.kib)+" is not a multiple of that")
	}
}

// redefine changes the definition of a domain that does not run.
func (l *Launcher) redefine(d *domain, what string, r Resized, o ResizeOptions) (Resized, error) {
	p, err := l.planResize(d.xml, o)
	if err != nil {
		return r, blockedBy(err, what)
	}
	r.plan(p)
	if p.kib == 0 {
		return r, nil
	}
	edit := Edit{}
	err = l.define(d, p.doc, o.DryRun, &edit)
	r.Diff, r.Defined, r.Warnings = edit.Diff, edit.Done, append(r.Warnings, edit.Warnings...)
	return r, advice.About(err, "%s", what)
}

// couldResize says whether the pages could be had.
func (l *Launcher) couldResize(d *domain, p resizing, what string, o ResizeOptions, r *Resized) error {
	if p.kib < 0 {
		return nil
	}
	guest, err := l.guest(d, p.demand, o.HostReserve)
	if err != nil {
		return advice.About(err, "%s", what)
	}
	findings, err := check.Pool.Detect(l.host, guest)
	if err != nil {
		return advice.About(err, "%s", what)
	}
	for _, f := range findings {
		if f.Severity == hostprep.Blocker && !f.Fixable {
			return shortOf(what, f)
		}
		r.Changed = append(r.Changed, f.Changes...)
	}
	return nil
}

func shortOf(what string, f hostprep.Finding) error {
	e := &advice.Error{What: what, Why: f.Have, Do: f.Do, Kind: advice.NoMemory}
	if f.Verdict != hostprep.NoMemory {
		e.Kind = advice.Blocked
	}
	return e
}

// resize changes the memory of a guest that runs.
func (l *Launcher) resize(ctx context.Context, d *domain, p resizing, what string, o ResizeOptions, r *Resized) error {
	running, err := process.FindGuests(l.host.Root)
	if err != nil {
		return err
	}
	pid := running[d.uuid].PID
	before, err := l.mappings(pid, p)
	if err == nil {
		err = l.beginResize(ctx, d, p, what, o, r)
	}
	if err != nil {
		return err
	}
	if err := l.sameMemory(ctx, d, p, what, r); err != nil {
		return err
	}
	grew, known, failure := l.askResize(ctx, d, p, what, o)
	switch {
	case p.kind == pages.DIMM && p.kib < 0 && failure == nil:
		l.awaitUnmapped(pid, p, p.pages(), before)
	case p.kind == pages.VirtioMem && p.kib > 0 && failure != nil:
		l.awaitUnmapped(pid, p, grew, before)
	}
	// Not the caller's context: the ledger must hear of it after Ctrl-C too.
	err = l.endResize(context.WithoutCancel(ctx), d, grew, known, r)
	if failure = errors.Join(failure, err); failure != nil {
		return failure
	}
	r.Done = true
	after, err := l.mappings(pid, p)
	if err == nil && p.kind == pages.DIMM && p.kib > 0 {
		err = p.onHugePages(smaps.Since(before, after), d, what)
	}
	if err != nil {
		return err
	}
	proven, err := l.prove(d, running)
	if err != nil {
		return err
	}
	r.Proof = &proven
	return nil
}

func (l *Launcher) mappings(pid int, p resizing) ([]smaps.Mapping, error) {
	text, err := l.host.Root.ReadGuest(pid, "smaps", p.before.TotalKiB)
	return smaps.Parse(text), err
}

// onHugePages is an error unless a new DIMM is on huge pages. It is among what QEMU has mapped
// since: what all of the guest has tells nothing, as other DIMMs may leave it at the same time.
func (p resizing) onHugePages(since []smaps.Mapping, d *domain, what string) error {
	var mapped, huge int64
	for _, m := range since {
		if m.Writable && (m.Has("ht") || m.Has("hg")) {
			mapped, huge = mapped+m.SizeKiB, huge+m.HugetlbKiB
		}
	}
	switch {
	case mapped < p.kib:
		return advice.New(what, "its new DIMM of "+pages.FormatKiB(p.kib)+" has left it again: another program has removed it", "run the command again")
	case huge < p.kib:
		return advice.New(what, fmt.Sprintf("it has grown by %s, but only %s of that is on huge pages", pages.FormatKiB(p.kib), pages.FormatKiB(huge)), "run vmhuge verify "+shell.Operand(d.name))
	}
	return nil
}

// beginResize writes the change down and gets the pages for it.
func (l *Launcher) beginResize(ctx context.Context, d *domain, p resizing, what string, o ResizeOptions, r *Resized) error {
	owner, err := process.Find(l.host.Root, os.Getpid())
	if err != nil {
		return err
	}
	guest, err := l.guest(d, p.demand, o.HostReserve)
	if err != nil {
		return advice.About(err, "%s", what)
	}
	o.Progress.say("waiting for another program that is changing the pools")
	book, err := ledger.Open(ctx, l.host.Root)
	if err != nil {
		return interruptedResize(err, what)
	}
	defer l.closeLedger(book, d.uuid)
	resize := ledger.Resize{Owner: owner, Size: p.demand.Items[0].PageSize, Pages: p.pages(), Lazy: p.kind == pages.VirtioMem}
	held := hold.Options{Reserve: o.HostReserve, Foresee: true, Effort: pool.Effort{Progress: o.Progress}}
	changed, refusal, err := hold.Resize(ctx, l.host, book, resize, guest, held)
	r.Changed = append(r.Changed, changed...)
	switch {
	case err != nil:
		return interruptedResize(err, what)
	case refusal != nil:
		return shortOf(what, *refusal)
	}
	return nil
}

func interruptedResize(err error, what string) error {
	switch {
	case errors.Is(err, context.Canceled):
		return advice.New(what, "interrupted", "nothing was changed")
	case errors.Is(err, ledger.ErrResizing):
		return errOvertaken
	}
	return advice.About(err, "%s", what)
}

// endResize frees what the guest did not take or has given up. known: it has grown by grew
// pages; else the kernel's account tells.
func (l *Launcher) endResize(ctx context.Context, d *domain, grew int64, known bool, r *Resized) error {
	book, err := ledger.Open(ctx, l.host.Root)
	if err != nil {
		return err
	}
	defer l.closeLedger(book, d.uuid)
	end := book.EndResize
	if known {
		end = func(uuid string) (int64, int64, error) { return book.EndResizeBy(uuid, grew) }
	}
	given, owed, err := end(d.uuid)
	r.GivenKiB, r.OwedKiB = given/pages.KiB, owed/pages.KiB
	return err
}

// askResize has libvirt make the change. known: the guest has grown by grew pages.
func (l *Launcher) askResize(ctx context.Context, d *domain, p resizing, what string, o ResizeOptions) (grew int64, known bool, err error) {
	switch {
	case p.kind == pages.VirtioMem:
		grew, err = l.requestMemory(ctx, d, p, what, o)
		return grew, true, err
	case p.kib > 0:
		o.Progress.say("adding a DIMM")
		if err := d.AttachDeviceFlags(p.xml, libvirt.DOMAIN_DEVICE_MODIFY_LIVE); err != nil {
			return 0, false, refused(err, what)
		}
		return 0, false, nil
	}
	return 0, false, l.detachDIMM(ctx, d, p, what, o)
}

// liveMemory reads the memory of a domain that must still run.
func liveMemory(d *domain, what string) (xml.Memory, error) {
	if active, err := d.IsActive(); err != nil || !active {
		return xml.Memory{}, advice.New(what, "the guest has ended", "its pages were freed")
	}
	live, err := d.GetXMLDesc(0)
	if err != nil {
		return xml.Memory{}, refused(err, what)
	}
	return xml.ReadMemory([]byte(live))
}
