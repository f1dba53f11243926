package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
	"vmhuge/xml"
)

// fileFlag makes files of what a command is given by name.
func fileFlag() cli.Flag {
	return &cli.BoolFlag{Name: "file", Usage: "read domain XML from files instead; needs no libvirt"}
}

// candidates connects, unless only files are named, and hands on the names of
// the guests that a command works on and what reads one. Without a name it is
// every domain.
func (p *program) candidates(c *cli.Context, do func(names []string, read func(name string) (hostprep.Candidate, error)) error) error {
	names, err := anyNames(c)
	if err != nil {
		return err
	}
	if c.Bool("file") {
		if len(names) == 0 {
			return usage("--file needs the name of a file")
		}
		return do(names, p.readXML)
	}
	l, err := p.connect()
	if err != nil {
		return err
	}
	defer l.Close()
	names, err = p.expandOrAll(l, names, len(names) == 0)
	if err != nil {
		return err
	}
	return do(names, l.Candidate)
}

func (p *program) readXML(path string) (hostprep.Candidate, error) {
	doc, err := p.read(path)
	if err != nil {
		return hostprep.Candidate{}, err
	}
	if err := xml.ForQEMU(doc); err != nil {
		return hostprep.Candidate{}, advice.About(err, "%s", path)
	}
	demand, err := xml.DemandOn(doc, func() (pages.Size, error) { return libvirtd.DefaultPageSize(p.host(), "") })
	if err != nil {
		return hostprep.Candidate{}, advice.About(err, "%s", path)
	}
	traits, err := xml.Traits(doc)
	guest := hostprep.NewCandidate(demand, traits)
	guest.Doc = doc
	launcher.FallBack(p.host(), &guest, false)
	if guest.Name == "" {
		guest.Name = path
	}
	return guest, advice.About(err, "%s", path)
}
