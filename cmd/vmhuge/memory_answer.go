package main

import (
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

// showResized prints what became of a domain's memory.
func (p *program) showResized(r launcher.Resized) {
	name := oneLine(r.Name)
	device := "a DIMM"
	if r.Device == pages.VirtioMem {
		device = "virtio-mem"
	}
	verb, amount, how := "added", r.ByKiB, "with "
	if r.ByKiB < 0 {
		verb, amount = "removed", -r.ByKiB
		if r.Device == pages.DIMM {
			how = "as "
		}
	}
	change := pages.FormatKiB(amount) + " " + verb + " " + how + device
	has := "has " + pages.FormatKiB(r.AfterKiB)
	switch {
	case r.ByKiB == 0:
		p.say("%s: already has %s", name, pages.FormatKiB(r.AfterKiB))
	case r.DryRun:
		p.say("%s: would have %s: %s", name, pages.FormatKiB(r.AfterKiB), change)
	case r.Done:
		p.say("%s: %s: %s", name, has, change)
	default:
		p.say("%s: %s from its next start on: %s", name, has, change)
	}
	if r.PageSize > 0 && r.ByKiB > 0 && r.Done {
		p.say("  on pages of %s, of which it has now touched %s in all", r.PageSize, pages.FormatKiB(r.Proof.Hugetlb()))
	}
	if r.GivenKiB > 0 {
		p.say("  %s of huge pages freed", pages.FormatKiB(r.GivenKiB))
	}
	if r.OwedKiB > 0 {
		p.say("  %s still in use by other processes", pages.FormatKiB(r.OwedKiB))
	}
	for _, c := range r.Changed {
		if r.DryRun {
			p.say("  would change: %s", changeWords(c))
		} else {
			p.say("  done: %s", changeWords(c))
		}
	}
	if r.Defined && r.Done {
		p.say("  its definition has changed, too")
	}
	for _, w := range r.Warnings {
		p.insist("  warning: %s", oneLine(w))
	}
	if r.DryRun && r.Diff != "" {
		p.printDiff(r.Diff)
	}
}
