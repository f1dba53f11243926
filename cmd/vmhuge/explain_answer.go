package main

import (
	"cmp"
	"slices"

	"vmhuge/explain"
	"vmhuge/hostprep"
	"vmhuge/launcher"
)

// cause is one that a text may have, and what the host shows of it now.
type cause struct {
	ID       string             `json:"id"`
	Text     string             `json:"text"`
	Cause    string             `json:"cause"`
	Versions string             `json:"versions"`
	Seen     bool               `json:"seen"` // it is so on this host now
	Evidence []hostprep.Finding `json:"evidence"`
	Do       string             `json:"do"`
}

func (p *program) explain(text, source, domain string) error {
	matches := explain.Explain(text, p.hugetlbfs()...)
	if len(matches) == 0 {
		return p.unknownText(text, source, domain)
	}
	domain = cmp.Or(domain, explain.DomainOf(matches))
	report, why := p.evidence(matches, text, domain)
	weighed := explain.Weigh(matches, report.Findings, func(f hostprep.Finding) (string, bool) {
		return string(f.Cause), f.Severity != hostprep.Note
	})
	var facts []fact
	if report.Name == "" {
		facts = p.factsFor(matches)
	}
	names := launcher.Names(p.host(), domain)
	if p.json {
		causes := []cause{}
		for _, w := range weighed {
			causes = append(causes, cause{w.ID, w.Text, w.Cause, w.Versions, w.Seen, w.Evidence, w.Cure(names)})
		}
		p.printJSON(map[string]any{"domain": domain, "source": source, "known": true, "causes": causes,
			"verdict": report.Verdict, "host": facts})
		return nil
	}
	for i, w := range weighed {
		if explain.Excluded(weighed, i) {
			continue // the check has told which it is
		}
		if i == 0 || w.Text != weighed[i-1].Text {
			p.insist("%s", oneLine(w.Text))
		}
		p.insist("  %s: %s", w.ID, w.Cause)
		if w.Versions != "" && p.verbose {
			p.insist("    said by %s", w.Versions)
		}
		for _, f := range w.Evidence {
			p.insist("    now: %s", findingWords(f))
		}
		p.insist("    do: %s", oneLine(w.Cure(names)))
	}
	seen := slices.ContainsFunc(weighed, func(w explain.Weighed[hostprep.Finding]) bool { return w.Seen })
	switch {
	case why != nil:
		p.warn("cannot tell which cause this host has: %s", oneLine(why.Error()))
	case report.Verdict == hostprep.Running:
		p.insist("now: %s runs", oneLine(domain))
	case report.Name != "" && !seen:
		p.insist("now: none of these causes is present on this host (%s)", report.Verdict)
	}
	for _, f := range facts {
		p.insist("now: %s: %s", f.Name, f.Value)
	}
	if domain == "" && !seen && explain.Ambiguous(matches) {
		p.insist("which of them it is: vmhuge explain --domain NAME asks the host, and puts that first")
	}
	return nil
}

// hugetlbfs are the mount points of the host; what can't be read is not known.
func (p *program) hugetlbfs() []string {
	mounts, _ := p.host().Mounts()
	var points []string
	for _, m := range mounts {
		points = append(points, m.Point)
	}
	return points
}
