package launcher

import (
	"bytes"
	"errors"
	"runtime"
	"sync"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/versions"
	"vmhuge/internal/xmldiff"
	"vmhuge/xml"
)

// Want is what a user asks enable for.
type Want struct {
	xml.Want
	DryRun bool
}

// Edit is what enable or disable did to a domain's XML.
type Edit struct {
	Name     string             `json:"name"`
	UUID     string             `json:"uuid"`
	State    State              `json:"state"`
	Backing  pages.Backing      `json:"backing"`
	Done     bool               `json:"done"` // the definition was changed
	Diff     string             `json:"diff"` // unified; what was or would be changed
	Copy     string             `json:"copy,omitempty"`
	Warnings []string           `json:"warnings"`
	Demand   []pages.Item       `json:"demand"`
	Findings []hostprep.Finding `json:"findings"` // what the host still lacks
	// FreedKiB of pages were kept for it, and are not any more.
	FreedKiB int64 `json:"freed_kib,omitempty"`
}

// Enable rewrites a domain's persistent definition so that its memory is on
// huge pages. The former XML is kept first.
func (l *Launcher) Enable(name string, want Want) (Edit, error) {
	d, err := l.find(name)
	if err != nil {
		return Edit{}, err
	}
	defer d.Free()
	e := Edit{Name: d.name, UUID: d.uuid, State: d.state, Backing: pages.None}
	if !d.persistent {
		return e, advice.New("enabling "+d.name, "it is transient: it has no definition that enable could change",
			"define it first (virsh dumpxml, virsh define)")
	}
	copies, err := newCopies(l.host.Root)
	if err != nil {
		return e, err
	}
	if !l.test {
		if err := xml.ForQEMU(d.xml); err != nil {
			return e, advice.About(err, "enabling %s", d.name)
		}
	}
	if version := l.versions().libvirt; (want.AutoThreads || want.Threads > 0) && versions.Threads.LackedBy(version, 0) {
		return e, advice.New("enabling "+d.name, "libvirt "+hostprep.VersionText(version)+" does not keep the number of threads, as 8.2 and later do", "leave out --threads")
	}
	former, _ := xml.Demand(d.xml, 0)
	want.Ours = copies.has(d.uuid) && (former.Backing == pages.Hugetlb || former.Backing == pages.THP)
	doc, err := l.rewrite(d, &want)
	if err != nil {
		return e, advice.About(err, "enabling %s", d.name)
	}
	e.Warnings = want.Notes(d.xml, doc)
	// What the host lacks for it is looked at while libvirt defines it, unless pages that were kept
	// for it may become free before.
	var report Report
	var look sync.WaitGroup
	defer look.Wait()
	next := *d
	next.xml = doc
	inspect := func() { report, _ = l.inspect(&next, 0) }
	onHost, frees := l.qemu && !l.remote, want.For != nil || want.THP
	if onHost && !frees {
		look.Go(inspect)
	}
	if !want.DryRun && !bytes.Equal(doc, d.xml) {
		// The first copy stays: it is the one that no enable has touched.
		e.Copy, err = copies.keep(d.uuid, d.xml, !want.Ours)
		if err != nil {
			return e, advice.About(err, "enabling %s", d.name)
		}
	}
	if err := l.define(d, doc, want.DryRun, &e); err != nil {
		if !want.Ours {
			err = errors.Join(err, copies.drop(d.uuid))
		}
		return e, advice.About(err, "enabling %s", d.name)
	}
	if frees {
		keep := pages.Keep(0)
		if want.For != nil {
			keep = *want.For
		}
		if e.FreedKiB, err = l.keepNow(d.uuid, keep, want.DryRun); err != nil {
			return e, advice.About(err, "enabling %s", d.name)
		}
		if onHost {
			inspect()
		}
	}
	look.Wait()
	if onHost {
		e.Backing, e.Demand, e.Findings = report.Backing, report.Demand, report.Findings
	} else if demand, err := xml.Demand(doc, 0); err == nil {
		e.Backing, e.Demand = demand.Backing, demand.Items
	}
	return e, nil
}

// rewrite settles by the host what the user left to vmhuge, and rewrites.
func (l *Launcher) rewrite(d *domain, want *Want) ([]byte, error) {
	if l.session && want.Source == "" && !want.THP {
		// An unprivileged daemon knows no hugetlbfs mount; memfd needs none.
		want.Source = "memfd"
	}
	if !l.qemu || l.remote {
		return want.Rewrite(d.xml)
	}
	want.HostArch = runtime.GOARCH
	if state, err := l.host.Pools(); err == nil {
		want.Have = state.Sizes()
	}
	if want.Auto {
		gib := want.Backing
		gib.PageSize = pages.Size1GiB
		if fits, err := xml.Fits(d.xml, gib.PageSize); err != nil {
			return nil, err
		} else if fits && l.hasPages(d.xml, gib) {
			want.Auto, want.Backing = false, gib
		}
	}
	want.CPUs = runtime.NumCPU()
	return want.Rewrite(d.xml)
}

// hasPages says whether the pools hold what the guest would take with a
// backing of an explicit size.
func (l *Launcher) hasPages(doc []byte, backing xml.Backing) bool {
	state, err := l.host.Pools()
	if err != nil {
		return false
	}
	doc, err = xml.Rewrite(doc, backing)
	if err != nil {
		return false
	}
	demand, err := xml.Demand(doc, 0)
	if err != nil {
		return false
	}
	for _, total := range demand.Totals() {
		if g, _ := state.Global(total.PageSize); g.Free-g.Reserved < total.Pages {
			return false
		}
	}
	return true
}

// Disable takes back what enable put in; what the user had is kept.
func (l *Launcher) Disable(name string, dryRun bool) (Edit, error) {
	d, err := l.find(name)
	if err != nil {
		return Edit{}, err
	}
	defer d.Free()
	e := Edit{Name: d.name, UUID: d.uuid, State: d.state}
	copies, err := newCopies(l.host.Root)
	if err != nil {
		return e, err
	}
	doc := d.xml
	if kept := copies.has(d.uuid); kept || xml.Marked(d.xml) {
		doc, err = xml.Revert(d.xml, kept)
		if err != nil {
			return e, advice.About(err, "disabling %s", d.name)
		}
	} else if demand, err := xml.Demand(d.xml, 0); err == nil && demand.Backing == pages.Hugetlb {
		e.Warnings = append(e.Warnings, "its <hugepages> was there before vmhuge, and is kept; remove it with virsh edit")
	}
	if !d.persistent && !bytes.Equal(doc, d.xml) { // to define it would make it persistent
		return e, advice.New("disabling "+d.name, "it is transient: it has no definition that disable could change",
			"change the XML from which it is created, as vmhuge xml disable does")
	}
	if err := l.define(d, doc, dryRun, &e); err != nil {
		return e, advice.About(err, "disabling %s", d.name)
	}
	if e.FreedKiB, err = l.keepNow(d.uuid, 0, dryRun); err != nil {
		return e, advice.About(err, "disabling %s", d.name)
	}
	if !dryRun {
		if err := copies.drop(d.uuid); err != nil {
			return e, err
		}
	}
	e.Backing = pages.None
	if demand, err := xml.Demand(doc, 0); err == nil {
		e.Backing, e.Demand = demand.Backing, demand.Items
	}
	return e, nil
}

// define makes doc the domain's persistent definition, unless it is already.
func (l *Launcher) define(d *domain, doc []byte, dryRun bool, e *Edit) error {
	if bytes.Equal(doc, d.xml) {
		return nil
	}
	e.Diff = xmldiff.Unified(d.name+".xml before", d.xml, d.name+".xml", doc)
	if d.state.active() {
		e.Warnings = append(e.Warnings, "it is running: the change takes effect at its next cold start (shut it down and start it; a reboot is not enough)")
	}
	if saved, err := d.HasManagedSaveImage(0); err == nil && saved {
		e.Warnings = append(e.Warnings, "it has a saved state, and the next start uses the XML saved with it; remove the state with virsh managedsave-remove, or start the guest once and shut it down")
	}
	if dryRun {
		return nil
	}
	if err := l.defineWhole(d, doc, e); err != nil {
		return err
	}
	e.Done = true
	return nil
}

// defineWhole defines a document and makes sure that libvirt kept all of it:
// it drops what it does not know without a word.
func (l *Launcher) defineWhole(d *domain, doc []byte, e *Edit) error {
	err := l.defineXML(doc, libvirt.DOMAIN_DEFINE_VALIDATE)
	var refusal libvirt.Error
	if errors.As(err, &refusal) && refusal.Code == libvirt.ERR_XML_INVALID_SCHEMA {
		// The schema lags behind what libvirt accepts; what counts is below.
		e.Warnings = append(e.Warnings, "libvirt's schema does not know all of its XML: defined without validation")
		err = l.defineXML(doc, 0)
	}
	if err != nil {
		return refused(err, "defining it")
	}
	kept, err := d.definition()
	if err == nil && !xml.Same(kept, doc) {
		lost := xmldiff.Unified("written", doc, "kept by libvirt", kept)
		if err := l.defineXML(d.xml, 0); err != nil {
			return refused(err, "defining it as before, since libvirt did not keep all of the new XML")
		}
		return advice.New("defining it", "libvirt did not keep all of the new XML: "+lost,
			"the definition is as before")
	}
	return err
}

func (l *Launcher) defineXML(doc []byte, flags libvirt.DomainDefineFlags) error {
	dom, err := l.conn.DomainDefineXMLFlags(string(doc), flags)
	if err == nil {
		_ = dom.Free()
	}
	return err
}
