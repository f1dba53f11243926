package launcher

import (
	"vmhuge/hostprep"
	"vmhuge/internal/advice"
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
	demand, err := l.demand(d.xml)
	if err != nil {
		return hostprep.Candidate{}, advice.About(err, "looking at %s", d.name)
	}
	traits, err := xml.Traits(d.xml)
	c := hostprep.NewCandidate(demand, traits)
	if err != nil {
		return c, advice.About(err, "looking at %s", d.name)
	}
	c.Runs, c.Doc, c.Session = d.state.active(), d.xml, l.session
	c.Traits.Autostart, err = d.GetAutostart()
	if err != nil {
		return c, refused(err, "looking at "+d.name)
	}
	copies, err := newCopies(l.host.Root)
	if err != nil {
		return c, err
	}
	FallBack(l.host, &c, copies.has(d.uuid))
	return c, nil
}
