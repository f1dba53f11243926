package launcher

import (
	"vmhuge/hostprep"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// Candidate reads what plan and advise must know of a domain.
func (l *Launcher) Candidate(name string) (hostprep.Candidate, error) {
	if err := l.needHost("looking at " + name); err != nil {
		return hostprep.Candidate{}, err
	}
	d, err := l.find(name)
	if err != nil {
		return hostprep.Candidate{}, err
	}
	defer d.Free()
	c, err := candidate(l.host, d.xml, l.conf)
	if err != nil {
		return c, advice.About(err, "looking at %s", d.name)
	}
	c.Runs = d.state.active()
	if c.Traits.Autostart, err = d.GetAutostart(); err != nil {
		return c, refused(err, "looking at "+d.name)
	}
	return c, nil
}

// XMLCandidate reads the same from a domain's XML; no libvirt is asked.
func XMLCandidate(host hostprep.Host, doc []byte) (hostprep.Candidate, error) {
	return candidate(host, doc, "")
}

func candidate(host hostprep.Host, doc []byte, conf string) (hostprep.Candidate, error) {
	demand, err := xml.DemandOn(doc, func() (pages.Size, error) { return host.DefaultPageSize(conf) })
	if err != nil {
		return hostprep.Candidate{}, err
	}
	traits, err := xml.Traits(doc)
	return hostprep.Candidate{Name: demand.Domain, UUID: demand.UUID, Demand: demand, Traits: traits}, err
}
