package launcher

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
	"vmhuge/internal/versions"
	"vmhuge/xml"
)

// Check says whether a plain start of a domain would succeed now. It writes
// nothing.
func (l *Launcher) Check(name string) (Report, error) {
	if err := l.needHost("checking " + name); err != nil {
		return Report{}, err
	}
	d, err := l.find(name)
	if err != nil {
		return Report{}, err
	}
	defer d.Free()
	r, s := l.inspect(d, 0)
	if d.state.active() {
		r, err := l.running(d, r)
		if err != nil {
			return r, err
		}
		if f := l.growth(d); f != nil {
			r.Findings = append(r.Findings, *f)
		}
		return r, nil
	}
	if r.mayFallBack() && !r.Fixable && s.saved == notSaved {
		l.foresee(d, &r)
	}
	return r, nil
}

// start is what inspect has learnt of a start, for the steps that make it.
type start struct {
	saved savedState
	guest hostprep.Guest // where the report tells of findings on the host
	err   error          // why nothing is known of it
}

// inspect runs the checks for the start of a domain that does not run. The
// host keeps reserve bytes of ordinary memory; 0: the rule's.
func (l *Launcher) inspect(d *domain, reserve int64) (r Report, s start) {
	r = Report{Name: d.name, UUID: d.uuid, State: d.state, Backing: pages.None}
	doc, state, err := l.next(d)
	s.saved = state
	if err != nil {
		s.err, r.Verdict = err, hostprep.Unknown
		r.Findings = []hostprep.Finding{{Check: "managed-save", Severity: hostprep.Warning, Have: err.Error()}}
		return r, s
	}
	demand, err := l.demand(doc)
	if err != nil {
		r.Verdict = hostprep.BadDomain
		f := hostprep.Finding{Check: "domain", Severity: hostprep.Blocker, Have: err.Error(), Verdict: hostprep.BadDomain,
			Need: "a memory backing that libvirt and QEMU accept"}
		if told := (*advice.Error)(nil); errors.As(err, &told) {
			f.Have, f.Do, f.Cause = told.What+": "+told.Why, told.Do, told.Cause
		}
		r.Findings = []hostprep.Finding{f}
		return r, s
	}
	r.Backing, r.Demand, r.Totals, r.IfShort, r.AtLeast = demand.Backing, demand.Items, demand.Totals(), demand.IfShort, demand.AtLeast
	guest, err := l.guest(d, demand, reserve)
	if err != nil {
		r.Verdict = hostprep.Unknown
		r.Findings = []hostprep.Finding{{Check: "host", Severity: hostprep.Warning, Have: err.Error()}}
		return r, s
	}
	r.Findings = check.Run(l.host, guest)
	if l.knowsMount(doc, r.Findings) {
		for _, total := range r.Totals {
			guest.KnownSizes = append(guest.KnownSizes, total.PageSize)
		}
		r.Findings = check.Run(l.host, guest)
	}
	if l.Probe != nil && !d.state.active() {
		r.Findings = append(r.Findings, l.Probe.Findings(l.host, guest, r.Findings)...)
	}
	if len(guest.Pending) > 0 {
		l.racing(r.Findings, guest)
	}
	l.leaveToHook(r.Findings)
	if os.Geteuid() != 0 {
		forRoot(r.Findings)
	}
	if f := unfilled(demand, l.versions().qemu, d.name); f != nil {
		r.Findings = append([]hostprep.Finding{*f}, r.Findings...)
	}
	r.Findings = append(r.Findings, cautions(doc)...)
	if demand.Backing == pages.None && state != saved {
		r.Findings = append(r.Findings, hostprep.Finding{Check: "domain", Severity: hostprep.Note,
			Have: "its XML asks for no huge pages", Need: "<memoryBacking><hugepages/>", Do: "run vmhuge enable " + shell.Operand(d.name)})
	}
	switch state {
	case cutShort:
		r.Findings = append(r.Findings, hostprep.Finding{Check: "managed-save", Severity: hostprep.Note,
			Have: "a saved state that is incomplete, because its save was interrupted", Need: "none: libvirt discards it, and the guest boots", Do: "nothing"})
	case saved:
		r.Findings = append(r.Findings, hostprep.Finding{Check: "managed-save", Severity: hostprep.Warning,
			Have: "a saved state, which resumes with the XML it was saved with: " + backingWord(demand.Backing),
			Need: "a cold start, so that the current definition takes effect",
			Do:   "virsh managedsave-remove, or start it once and shut it down"})
	}
	r.Verdict, r.Ready, r.Fixable = hostprep.Conclude(r.Findings)
	s.guest = guest
	return r, s
}

func backingWord(b pages.Backing) string {
	if b == pages.None {
		return "without huge pages"
	}
	return "on " + string(b)
}

// knowsMount says that libvirtd has a mount for the domain's pages after all,
// though none is there, or a younger one than the daemon: in its place something
// was mounted or unmounted since. That is not to be seen from outside, so libvirtd
// is asked for QEMU's command line, in which the mount stands. It makes no change.
func (l *Launcher) knowsMount(doc []byte, findings []hostprep.Finding) bool {
	late := func(f hostprep.Finding) bool {
		return f.Cause == hostprep.MountLate || (f.Cause == hostprep.MountMissing && f.Restart)
	}
	i := slices.IndexFunc(findings, late)
	if i < 0 {
		return false
	}
	argv, err := l.conn.DomainXMLToNative("qemu-argv", string(doc), 0)
	if err != nil || findings[i].Cause == hostprep.MountLate {
		return err == nil && hasMemory(argv)
	}
	mount := findings[i].Changes[len(findings[i].Changes)-1] // that vmhuge would make
	return strings.Contains(argv, mount.Path+"/"+l.baseDir+"/")
}

// hasMemory says whether a command line of QEMU has memory from files: where it has no mount
// for them, libvirt 7.0 leaves the memory out.
func hasMemory(argv string) bool { return strings.Contains(argv, "mem-path") }

// racing softens what blocks only because other guests that are starting will
// take pages: who comes first gets them.
func (l *Launcher) racing(findings []hostprep.Finding, guest hostprep.Guest) {
	guest.Pending = slices.DeleteFunc(slices.Clone(guest.Pending), func(p pool.Pending) bool { return p.For == "" })
	if check.ShortageNow(l.host, guest) != nil {
		return
	}
	for i := range findings {
		if f := &findings[i]; f.Severity == hostprep.Blocker && f.Verdict == hostprep.NoMemory {
			f.Severity, f.Verdict = hostprep.Warning, hostprep.Unknown
			f.Do += "; the guest that starts first gets them"
		}
	}
}

// leaveToHook makes a note of what vmhuge's own hook mends when the guest starts.
func (l *Launcher) leaveToHook(findings []hostprep.Finding) {
	mends := func(f hostprep.Finding) bool {
		return f.Fixable && f.Severity != hostprep.Note && check.FoundBy(f, check.Pool, check.Mount, check.Path)
	}
	if l.session || l.baseDir != "libvirt/qemu" || !slices.ContainsFunc(findings, mends) {
		return
	}
	if hook, err := hook.ReadStatus(l.host); err != nil || !hook.Ready {
		return
	}
	for i := range findings {
		if f := &findings[i]; mends(*f) {
			f.Severity, f.Verdict = hostprep.Note, ""
			f.Do = "nothing: vmhuge's hook does it when the guest starts"
		}
	}
}

// unfilled finds memory that does not fill its last page. An older QEMU maps the whole
// page, and a newer one refuses: "backend 'memory-backend-file' memory size must be
// multiple of 2 MiB". qemu is its version.
func unfilled(demand pages.Demand, qemu uint32, name string) *hostprep.Finding {
	for _, item := range demand.Items {
		if item.PageSize == 0 || item.MemoryKiB%item.PageSize.KiB() == 0 || !versions.FilledPages.In(0, qemu) {
			continue
		}
		return &hostprep.Finding{Check: "domain", Severity: hostprep.Blocker, Verdict: hostprep.BadDomain,
			Cause: hostprep.Unaligned,
			Have:  fmt.Sprintf("%s of memory on pages of %s", pages.FormatKiB(item.MemoryKiB), item.PageSize),
			Need:  "a multiple of the page size, which QEMU requires since 9.1", Do: "run vmhuge enable --round " + shell.Operand(name)}
	}
	return nil
}

// forRoot says of what vmhuge could mend as root what root would do.
func forRoot(findings []hostprep.Finding) {
	for i := range findings {
		f := &findings[i]
		if !f.Fixable {
			continue
		}
		f.Fixable = false
		f.Do = "as root: " + change.Join(f.Changes)
	}
}

// guest gathers what the checks must know of a domain.
func (l *Launcher) guest(d *domain, demand pages.Demand, reserve int64) (guest hostprep.Guest, err error) {
	running, err := l.runningIDs()
	if err != nil {
		return guest, err
	}
	by := hostprep.Starter{BaseDir: l.baseDir, Session: l.session, UID: os.Getuid(), Conf: l.conf,
		Libvirt: hostprep.UnknownVersion, QEMU: hostprep.UnknownVersion}
	if len(demand.Items) > 0 {
		v := l.versions()
		by.Libvirt, by.QEMU = v.libvirt, v.qemu
	}
	allowance, err := capacity.Allowance(l.host, d.uuid, reserve)
	if err != nil {
		return guest, err
	}
	traits, err := xml.Traits(d.xml)
	ids := hostprep.IDs{ID: hostprep.UnknownID, RunningIDs: running}
	return hostprep.NewGuest(demand, traits, by, ids, allowance), err
}

// running completes the report of a domain that runs, with its proof.
func (l *Launcher) running(d *domain, r Report) (Report, error) {
	r.Verdict, r.Ready, r.Fixable, r.Findings = hostprep.Running, true, true, nil
	guests, err := process.FindGuests(l.host.Root)
	if err != nil {
		return r, err
	}
	proof, err := l.prove(d, guests)
	if err != nil {
		return r, err
	}
	r.Proof = &proof
	return r, nil
}
