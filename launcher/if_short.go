package launcher

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// startInstead starts a domain on other pages than its definition asks for, as the host
// has too few of those: refused says so. The definition stays, and counts at the next start.
func (l *Launcher) startInstead(ctx context.Context, d *domain, refused Report, o StartOptions) (Report, error) {
	once, err := l.onOthers(d, refused)
	if err != nil {
		return refused, advice.About(err, "starting %s on other pages", d.name)
	}
	if once == nil {
		return refused, nil
	}
	r, err := l.start(ctx, once, o)
	r.IfShort, r.InsteadOf = refused.IfShort, refused.Totals
	r.Changed = append(slices.Clone(refused.Changed), r.Changed...)
	for _, f := range slices.Backward(refused.Findings) {
		if f.Severity == hostprep.Blocker && f.Verdict == hostprep.NoMemory {
			f.Severity, f.Verdict, f.Changes, f.Fixable = hostprep.Warning, "", nil, false
			f.Do = "it uses other pages for this start only; its definition does not change"
			r.Findings = slices.Insert(r.Findings, 0, f)
		}
	}
	return r, err
}

// onOthers is the domain as it starts on other pages; nil: they are no smaller.
func (l *Launcher) onOthers(d *domain, refused Report) (*domain, error) {
	doc, err := l.insteadOf(d, refused.IfShort)
	if err != nil {
		return nil, err
	}
	smallest := slices.MinFunc(refused.Totals, func(a, b pages.Total) int { return int(a.PageSize - b.PageSize) }).PageSize
	if bytes.Equal(doc, d.xml) || refused.IfShort != pages.IfShortTHP && pages.Size(refused.IfShort) >= smallest {
		return nil, nil //nolint:nilnil // no other pages is an answer
	}
	once := *d
	once.xml, once.instead = doc, true
	return &once, nil
}

// insteadOf is the domain's XML on other pages.
func (l *Launcher) insteadOf(d *domain, other pages.IfShort) ([]byte, error) {
	copies, err := newCopies(l.host.Root)
	if err != nil {
		return nil, err
	}
	return insteadOf(l.host, d.xml, other, copies.has(d.uuid))
}

func insteadOf(h host.Host, doc []byte, other pages.IfShort, ours bool) ([]byte, error) {
	want := xml.Backing{THP: other == pages.IfShortTHP, Ours: ours}
	if !want.THP {
		want.PageSize = pages.Size(other)
	}
	if state, err := h.Pools(); err == nil {
		want.Have = state.Sizes()
	}
	return xml.Instead(doc, want)
}

// FallBack adds to a candidate what it is on the pages that vmhuge start puts it on where its
// own are short. ours says that enable made its <hugepages>, as in xml.Backing.
func FallBack(h host.Host, c *hostprep.Candidate, ours bool) {
	if c.Demand.IfShort == 0 {
		return
	}
	doc, err := insteadOf(h, c.Doc, c.Demand.IfShort, ours)
	if err != nil {
		return
	}
	demand, err := xml.Demand(doc, 0)
	traits, terr := xml.Traits(doc)
	if err != nil || terr != nil {
		return
	}
	other := *c
	other.Demand, other.Traits, other.Doc = demand, traits, doc
	other.Traits.Autostart = c.Traits.Autostart
	c.Instead = &other
}

// foresee says of a domain with too few of its pages what vmhuge start would come to on
// others.
func (l *Launcher) foresee(d *domain, r *Report) {
	instead := Instead{Backing: pages.Hugetlb, Totals: []pages.Total{}}
	if r.IfShort == pages.IfShortTHP {
		instead.Backing = pages.THP
	}
	once, err := l.onOthers(d, *r)
	switch {
	case err != nil:
		instead.Why = err.Error()
	case once == nil:
		return
	default:
		other, _ := l.inspect(once, 0)
		instead.Totals, instead.Starts = append(instead.Totals, other.Totals...), other.Ready || other.Fixable
		if i := slices.IndexFunc(other.Findings, func(f hostprep.Finding) bool { return f.Severity == hostprep.Blocker && !f.Fixable }); i >= 0 {
			instead.Why = other.Findings[i].Have
		}
	}
	r.Instead, r.Fixable = &instead, instead.Starts
}

// createOnce starts the domain with an XML that is not its definition. libvirt keeps the
// definition beside it, but where such a start fails early, libvirt can keep that XML for
// the next start: then the definition is written again.
//
// Source: virDomainObjListAddLocked() in libvirt's src/conf/virdomainobjlist.c,
// qemuProcessInit() in src/qemu/qemu_process.c.
func (l *Launcher) createOnce(d *domain, flags libvirt.DomainCreateFlags) error {
	definition, err := d.definition()
	if err != nil {
		return err
	}
	before, err := d.GetXMLDesc(libvirt.DOMAIN_XML_SECURE) // what the next start uses
	if err != nil {
		return err
	}
	started, err := l.conn.DomainCreateXML(string(d.xml), flags)
	if err == nil {
		return started.Free()
	}
	after, textErr := d.GetXMLDesc(libvirt.DOMAIN_XML_SECURE)
	if active, activeErr := d.IsActive(); textErr == nil && activeErr == nil && !active && after != before {
		err = errors.Join(err, l.defineXML(definition, 0))
	}
	return err
}
