package main

import (
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
)

// totalsWords says what a demand takes: 512 pages of 2 MiB, 4 pages of 1 GiB.
func totalsWords(totals []pages.Total) string {
	text := ""
	for i, t := range totals {
		if i > 0 {
			text += ", "
		}
		if t.Pages < 0 {
			text += fmt.Sprintf("%s on pages of the host's default size", pages.FormatKiB(t.MemoryKiB))
		} else {
			text += fmt.Sprintf("%d %s of %s", t.Pages, plural(t.Pages, "page"), t.PageSize)
		}
	}
	return text
}

// takesWords says what a guest of that backing takes.
func takesWords(backing pages.Backing, totals []pages.Total) string {
	if backing == pages.THP {
		return "transparent huge pages"
	}
	return orNone(totalsWords(totals))
}

func plural(n int64, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// findingWords is a finding in one line: what is there, what is needed, who
// must do what.
func findingWords(f hostprep.Finding) string { return oneLine(f.Check + ": " + curedWords(f)) }

func curedWords(f hostprep.Finding) string {
	text := f.Have
	if f.Need != "" {
		text += "; needed: " + f.Need
	}
	if f.Do != "" {
		text += "; " + f.Do
	}
	return oneLine(text)
}

// proofWords is a proof in a few words.
func proofWords(p proof.Proof) string {
	ram := pages.FormatKiB(p.RAMKiB)
	switch p.Verdict {
	case proof.AllHuge:
		return "all " + ram + " of its RAM on huge pages"
	case proof.Partly:
		return fmt.Sprintf("%.1f %% of its %s of RAM on huge pages", p.BackedPercent, ram)
	}
	return "none of its " + ram + " of RAM on huge pages"
}

// atLeastWords are about the share of a guest's RAM that its XML wants on transparent huge pages.
func atLeastWords(percent float64) string {
	return fmt.Sprintf("vmhuge start collapses it until %g %% of its RAM in use is on huge pages", percent)
}
