package main

import (
	"slices"

	"vmhuge/explain"
	"vmhuge/hostprep"
	"vmhuge/launcher"
)

func (p *program) explain(text, source, domain string) error {
	mounts := p.hugetlbfs()
	text, quoted := explain.Current(text)
	matches := explain.Explain(text, mounts...)
	if len(matches) == 0 {
		return p.unknownText(text, source, domain, explain.Explain(quoted, mounts...))
	}
	of := explain.DomainsOf(matches)
	if domain != "" || len(of) == 1 {
		if domain == "" {
			domain = of[0]
		}
		of = []string{domain}
	}
	var all []examined
	for _, name := range of {
		its := matches
		if len(of) > 1 {
			its = slices.DeleteFunc(slices.Clone(matches), func(m explain.Match) bool { return m.Domain != name })
		}
		all = append(all, p.examine(its, text, name))
	}
	var facts []fact
	if !slices.ContainsFunc(all, func(e examined) bool { return e.report.Name != "" }) {
		facts = p.factsFor(matches)
	}
	if p.json {
		p.printCauses(all, source, facts)
		return nil
	}
	seen := false
	for _, e := range all {
		p.showCauses(e, len(all) > 1)
		seen = seen || e.seen()
	}
	for _, f := range facts {
		p.insist("now: %s: %s", f.Name, f.Value)
	}
	if slices.Equal(of, []string{""}) && !seen && explain.Ambiguous(matches) {
		p.insist("to find out which: vmhuge explain --domain NAME checks the host, and lists that cause first")
	}
	p.showQuoted(explain.Explain(quoted, mounts...))
	return nil
}

// cure is what a check says to do about a cause that it sees, which vmhuge start does not
// do, and else what the table says.
func cure(w explain.Weighed[hostprep.Finding], names explain.Names) string {
	for _, f := range w.Evidence {
		if f.Severity != hostprep.Note && !f.Fixable && f.Do != "" {
			return f.Do
		}
	}
	return w.Cure(names)
}

// showCauses shows the causes of a domain; named: with its name, as there are several.
func (p *program) showCauses(e examined, named bool) {
	names := launcher.Names(p.host(), e.domain)
	last := ""
	for i, w := range e.causes {
		if explain.Excluded(e.causes, i) {
			continue // the check has told which it is
		}
		if i == 0 || w.Text != e.causes[i-1].Text {
			text := w.Text
			if named && e.domain != "" {
				text = e.domain + ": " + text
			}
			p.insist("%s", oneLine(text))
		}
		p.insist("  %s: %s", w.ID, w.Cause)
		if w.Versions != "" && p.verbose {
			p.insist("    said by %s", w.Versions)
		}
		do := oneLine(cure(w, names))
		for _, f := range w.Evidence {
			if oneLine(f.Do) == do {
				f.Do = "" // below
			}
			p.insist("    now: %s", findingWords(f))
		}
		if w.Refuted {
			p.insist("    now: not so on this host")
		}
		if do == last {
			do = "the same"
		} else {
			last = do
		}
		p.insist("    do: %s", do)
	}
	switch {
	case e.why != nil && e.seen(): // the host alone has told which it is
	case e.why != nil && len(e.causes) == 1:
		p.warn("cannot check this cause on the host: %s", oneLine(e.why.Error()))
	case e.why != nil:
		p.warn("cannot tell which cause this host has: %s", oneLine(e.why.Error()))
	case e.report.Verdict == hostprep.Running:
		p.insist("now: %s runs", oneLine(e.domain))
	case e.report.Name != "" && !e.seen():
		p.insist("now: none of these causes is present on this host (%s)", e.report.Verdict)
	}
}

// showQuoted names what a text only quotes.
func (p *program) showQuoted(matches []explain.Match) {
	for i, m := range matches {
		if i == 0 || m.Text != matches[i-1].Text {
			p.insist("quoted, from before: %s (%s)", oneLine(m.Text), m.ID)
		}
	}
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
