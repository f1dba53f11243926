package main

import (
	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) showEdit(e launcher.Edit, done string, dryRun bool) {
	name := oneLine(e.Name)
	p.printDiff(e.Diff)
	switch {
	case e.Diff == "":
		p.say("%s: nothing to do, it is %s", name, backingWords(e))
	case dryRun:
		p.say("%s: would be %s (dry run)", name, done)
	case e.Copy == "":
		p.say("%s: %s", name, done)
	default:
		p.say("%s: %s; its original XML is kept in %s", name, done, e.Copy)
	}
	switch {
	case e.FreedKiB > 0 && dryRun:
		p.say("%s: would free the %s of huge pages that are kept for it", name, pages.FormatKiB(e.FreedKiB))
	case e.FreedKiB > 0:
		p.say("%s: freed the %s of huge pages that were kept for it", name, pages.FormatKiB(e.FreedKiB))
	}
	for _, w := range e.Warnings {
		p.warn("%s: %s", name, w)
	}
	for _, f := range e.Findings {
		if f.Severity != hostprep.Note {
			p.say("%s: the host is not ready yet: %s", name, findingWords(f))
		}
	}
}

// showRunning says what the RAM of a guest is backed by, of one that runs and needs no
// change of its XML.
func (p *program) showRunning(l *launcher.Launcher, e launcher.Edit) {
	if e.State != launcher.Running && e.State != launcher.Paused {
		return
	}
	if r, err := l.Verify(e.UUID); err == nil && r.Proof != nil {
		p.say("%s: %s, %s", oneLine(e.Name), e.State, proofWords(*r.Proof))
	}
}

func backingWords(e launcher.Edit) string {
	switch e.Backing {
	case pages.THP:
		return "on transparent huge pages"
	case pages.Hugetlb:
		return "on huge pages: " + totalsWords(pages.Demand{Items: e.Demand}.Totals())
	}
	return "not on huge pages"
}
