package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"vmhuge/explain"
	"vmhuge/hostprep"
	"vmhuge/hostprep/audit"
	"vmhuge/hostprep/hostpage"
	"vmhuge/hostprep/probe"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

// evidence asks the checks about the domain, and the logs for what was denied; the
// error says why something was not to be had.
func (p *program) evidence(matches []explain.Match, text, domain string) (report launcher.Report, why error) {
	if domain != "" && slices.ContainsFunc(matches, func(m explain.Match) bool { return m.Check != "" }) {
		report, why = p.checkNow(domain)
	}
	if size := pages.SizeOfKiB(explain.PageSizeIn(text)); report.Name == "" && size > 0 && !strings.HasSuffix(p.uri, "/session") {
		of, err := hostpage.SizeFindings(p.host(), size)
		report.Findings = append(report.Findings, of...)
		why = cmp.Or(why, err)
	}
	if slices.ContainsFunc(matches, func(m explain.Match) bool {
		return m.ID == string(hostprep.SecurityModule) || m.ID == string(hostprep.AppArmorNUMA)
	}) {
		denied, err := audit.DeniedIn(p.host(), explain.Clean(text))
		if len(denied) == 0 {
			denied, err = audit.Denied(p.host(), report.UUID, time.Now())
			// A guest whose text has a path has no memfd: a denied one is of another guest.
			if slices.ContainsFunc(matches, func(m explain.Match) bool { return m.Path != "" }) {
				denied = slices.DeleteFunc(denied, func(f hostprep.Finding) bool { return strings.Contains(f.Have, audit.OfMemfd) })
			}
		}
		report.Findings = append(report.Findings, denied...)
		why = cmp.Or(why, err)
	}
	return report, why
}

func (p *program) checkNow(domain string) (launcher.Report, error) {
	prober := probe.NewProber(p.host())
	defer prober.Close()
	l, err := p.connect()
	if err != nil {
		return launcher.Report{}, err
	}
	defer l.Close()
	l.Probe = prober
	return l.Check(domain)
}

// fact is a line about the host.
type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// factsFor returns the lines about the host that the causes are about, where no
// domain is known that a check could be asked about.
func (p *program) factsFor(matches []explain.Match) []fact {
	var facts []fact
	for _, f := range hostpage.Facts(p.host(), hostpage.Libvirt{}) {
		if slices.ContainsFunc(matches, func(m explain.Match) bool { return f.About(m.Check) }) {
			facts = append(facts, fact{f.Name, f.Value})
		}
	}
	return facts
}
