package main

import (
	"slices"

	"vmhuge/explain"
	"vmhuge/hostprep"
	"vmhuge/hostprep/audit"
)

// deniedMeanwhile looks for the reason of a start that ended without one in what security
// modules denied while it lasted, and puts the causes of that before it.
func (p *program) deniedMeanwhile(e *examined, matches []explain.Match, text string) []explain.Match {
	i := slices.IndexFunc(matches, func(m explain.Match) bool { return m.ID == "ended-silently" })
	from, to := explain.Lasted(text)
	if i < 0 || from.IsZero() {
		return matches
	}
	uuid := e.report.UUID
	if uuid == "" && e.domain != "" {
		report, _ := p.checkNow(e.domain) // without libvirt, any guest's count
		uuid = report.UUID
	}
	denied, err := audit.DeniedBetween(p.host(), uuid, from, to)
	if e.why == nil {
		e.why = err
	}
	for _, f := range denied {
		if !slices.ContainsFunc(matches, func(m explain.Match) bool { return hostprep.Cause(m.ID) == f.Cause }) {
			matches = slices.Insert(slices.Clone(matches), i, matches[i].As(string(f.Cause)))
		}
	}
	e.report.Findings = append(e.report.Findings, denied...)
	return matches
}
