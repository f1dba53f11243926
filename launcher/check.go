package launcher

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
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
	r := l.inspect(d, 0)
	if d.state.active() {
		return l.running(d, r)
	}
	return r, nil
}

// inspect runs the checks for the start of a domain that does not run. The
// host keeps reserve bytes of ordinary memory; 0: the rule's.
func (l *Launcher) inspect(d *domain, reserve int64) Report {
	r := Report{Name: d.name, UUID: d.uuid, State: d.state, Backing: pages.None}
	demand, openSize, err := l.demand(d)
	if err != nil {
		r.Verdict = hostprep.BadDomain
		f := hostprep.Finding{Check: "domain", Severity: hostprep.Blocker, Have: err.Error(), Verdict: hostprep.BadDomain,
			Need: "a memory backing that libvirt and QEMU accept"}
		if told := (*advice.Error)(nil); errors.As(err, &told) {
			f.Have, f.Do, f.Cause = told.What+": "+told.Why, told.Do, told.Cause
		}
		r.Findings = []hostprep.Finding{f}
		return r
	}
	r.Backing, r.Demand, r.Totals = demand.Backing, demand.Items, demand.Totals()
	guest, err := l.guest(d, demand, openSize, reserve)
	if err != nil {
		r.Verdict = hostprep.Unknown
		r.Findings = []hostprep.Finding{{Check: "host", Severity: hostprep.Warning, Have: err.Error()}}
		return r
	}
	r.Findings = hostprep.Run(l.host, guest)
	if l.knowsLateMount(d, r.Findings) {
		for _, total := range r.Totals {
			guest.KnownSizes = append(guest.KnownSizes, total.PageSize)
		}
		r.Findings = hostprep.Run(l.host, guest)
	}
	if os.Geteuid() != 0 {
		forRoot(r.Findings)
	}
	if f := l.unfilled(d, demand); f != nil {
		r.Findings = append([]hostprep.Finding{*f}, r.Findings...)
	}
	if demand.Backing == pages.None {
		r.Findings = append(r.Findings, hostprep.Finding{Check: "domain", Severity: hostprep.Note,
			Have: "its XML asks for no huge pages", Need: "<memoryBacking><hugepages/>", Do: "run vmhuge enable " + d.name})
	}
	if l.saved(d) {
		r.Findings = append(r.Findings, hostprep.Finding{Check: "managed-save", Severity: hostprep.Warning,
			Have: "a saved state, which starts with the XML it was saved with",
			Need: "a cold start for the definition to count",
			Do:   "virsh managedsave-remove, or start it once and shut it down"})
	}
	r.Verdict, r.Ready, r.Fixable = hostprep.Conclude(r.Findings)
	return r
}

// knowsLateMount says that libvirtd has a mount for the domain's pages after all,
// though the one that is there is younger than the daemon: it was mounted anew in
// an old one's place. That is not to be seen from outside, so libvirtd is asked
// for QEMU's command line, in which the mount stands. It makes no change.
func (l *Launcher) knowsLateMount(d *domain, findings []hostprep.Finding) bool {
	late := slices.ContainsFunc(findings, func(f hostprep.Finding) bool { return f.Cause == hostprep.MountLate })
	if !late {
		return false
	}
	_, err := l.conn.DomainXMLToNative("qemu-argv", string(d.xml), 0)
	return err == nil
}

// unfilled finds memory that does not fill its last page. QEMU before 9.1 maps
// the whole page; since then it refuses: "backend 'memory-backend-file' memory
// size must be multiple of 2 MiB".
func (l *Launcher) unfilled(d *domain, demand pages.Demand) *hostprep.Finding {
	for _, item := range demand.Items {
		if item.PageSize == 0 || item.MemoryKiB%item.PageSize.KiB() == 0 {
			continue
		}
		if version, err := l.conn.GetVersion(); err != nil || version < 9001000 {
			return nil
		}
		return &hostprep.Finding{Check: "domain", Severity: hostprep.Blocker, Verdict: hostprep.BadDomain,
			Cause: hostprep.Unaligned,
			Have:  fmt.Sprintf("%s of memory on pages of %s", pages.FormatBytes(item.MemoryKiB*pages.KiB), item.PageSize),
			Need:  "a multiple of the page, as QEMU wants since 9.1", Do: "run vmhuge enable --round " + d.name}
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
		f.Do = "as root: " + hostprep.JoinChanges(f.Changes)
	}
}

// guest gathers what the checks must know of a domain.
func (l *Launcher) guest(d *domain, demand pages.Demand, openSize bool, reserve int64) (hostprep.Guest, error) {
	guest := hostprep.Guest{Demand: demand, BaseDir: l.baseDir, Session: l.session, UID: os.Getuid(),
		Conf: l.conf, DefaultSize: openSize}
	var err error
	if guest.RunningIDs, err = l.runningIDs(); err != nil {
		return guest, err
	}
	if slices.ContainsFunc(demand.Items, func(i pages.Item) bool { return i.HostNodes != "" }) {
		if guest.Libvirt, err = l.conn.GetLibVersion(); err != nil {
			return guest, refused(err, "asking for libvirt's version")
		}
		if guest.QEMU, err = l.conn.GetVersion(); err != nil {
			return guest, refused(err, "asking for QEMU's version")
		}
	}
	if guest.Pending, err = l.host.Pending(d.uuid); err != nil {
		return guest, err
	}
	if guest.Traits, err = xml.Traits(d.xml); err != nil {
		return guest, err
	}
	guest.HeadroomKiB, guest.Reserve, err = l.host.Headroom(reserve)
	return guest, err
}

// running completes the report of a domain that runs, with its proof.
func (l *Launcher) running(d *domain, r Report) (Report, error) {
	r.Verdict, r.Ready, r.Fixable, r.Findings = hostprep.Running, true, true, nil
	guests, err := pool.FindGuests(l.host.Root)
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
