package main

import (
	"vmhuge/hostprep"
	"vmhuge/launcher"
)

// cause is one that a text may have, and what the host shows of it now.
type cause struct {
	ID       string             `json:"id"`
	Domain   string             `json:"domain"` // of several; "": not told, or the one of the answer
	Text     string             `json:"text"`
	Cause    string             `json:"cause"`
	Versions string             `json:"versions"`
	Seen     bool               `json:"seen"`    // it is so on this host now
	Refuted  bool               `json:"refuted"` // it is not so on this host now
	Evidence []hostprep.Finding `json:"evidence"`
	Do       string             `json:"do"`
}

// checked is what a check says of one of several domains.
type checked struct {
	Domain  string           `json:"domain"`
	Verdict hostprep.Verdict `json:"verdict"`
}

func (p *program) printCauses(all []examined, source string, facts []fact) {
	causes, domains := []cause{}, []checked{}
	for _, e := range all {
		names := launcher.Names(p.host(), e.domain)
		for _, w := range e.causes {
			causes = append(causes, cause{w.ID, w.Domain, w.Text, w.Cause, w.Versions, w.Seen, w.Refuted, w.Evidence, cure(w, names)})
		}
		domains = append(domains, checked{e.domain, e.report.Verdict})
	}
	answer := map[string]any{"domain": all[0].domain, "source": source, "known": true, "causes": causes,
		"verdict": all[0].report.Verdict, "host": facts}
	if len(all) > 1 {
		answer["domain"], answer["verdict"], answer["domains"] = "", "", domains
	}
	p.printJSON(answer)
}
