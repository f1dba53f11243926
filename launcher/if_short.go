package launcher

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// startInstead starts a domain on other pages than its definition asks for, as the host
// has too few of those: refused says so. The definition stays, and counts at the next start.
func (l *Launcher) startInstead(ctx context.Context, d *domain, refused Report, o StartOptions) (Report, error) {
	want := *o.IfShort
	copies, err := newCopies(l.host.Root)
	if err != nil {
		return refused, err
	}
	want.Ours = copies.has(d.uuid)
	if state, err := l.host.Pools(); err == nil {
		want.Have = state.Sizes()
	}
	doc, err := xml.Instead(d.xml, want)
	if err != nil {
		return refused, advice.About(err, "starting %s on other pages", d.name)
	}
	smallest := slices.MinFunc(refused.Totals, func(a, b pages.Total) int { return int(a.PageSize - b.PageSize) }).PageSize
	if bytes.Equal(doc, d.xml) || !want.THP && want.PageSize >= smallest {
		return refused, nil
	}
	once := *d
	once.xml, once.instead = doc, true
	r, err := l.start(ctx, &once, o)
	r.InsteadOf = refused.Totals
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
