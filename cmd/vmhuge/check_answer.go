package main

import (
	"vmhuge/hostprep"
	"vmhuge/launcher"
)

// showReport prints what is known of one domain.
func (p *program) showReport(r launcher.Report) {
	name, say := oneLine(r.Name), p.say
	if !r.Ready {
		say = p.insist
	}
	switch {
	case r.Proof != nil:
		p.say("%s: %s, %s", name, r.State, proofWords(*r.Proof))
	case r.Ready:
		p.say("%s: ready, takes %s", name, takesWords(r.Backing, r.Totals))
	case r.Instead != nil && r.Instead.Starts:
		say("%s: not ready (%s), takes %s; vmhuge start would start it on %s instead", name, r.Verdict, takesWords(r.Backing, r.Totals), takesWords(r.Instead.Backing, r.Instead.Totals))
	case r.Fixable:
		say("%s: not ready (%s), takes %s; vmhuge start would make it so", name, r.Verdict, takesWords(r.Backing, r.Totals))
	default:
		say("%s: not ready (%s)", name, r.Verdict)
	}
	for _, f := range r.Findings {
		if f.Severity != hostprep.Note || p.verbose || r.Backing == "none" || r.Proof != nil {
			say("  %s", findingWords(f))
		}
	}
	if r.Instead != nil && !r.Instead.Starts {
		say("  if-short: vmhuge start would not start it on %s either: %s", r.IfShort.Words(), oneLine(r.Instead.Why))
	}
	if r.AtLeast != 0 && r.Proof == nil {
		say("  at-least: %s", atLeastWords(r.AtLeast))
	}
	for _, change := range r.Changed {
		p.say("  done: %s", changeWords(change))
	}
}

// showDest prints what a domain would find on another host.
func (p *program) showDest(r launcher.Report) {
	say, there := p.say, "would find its pages on "
	if !r.Ready {
		say, there = p.insist, "may not find its pages ("+string(r.Verdict)+") on "
	}
	say("%s: %s%s, takes %s", oneLine(r.Name), there, oneLine(r.Dest.URI), takesWords(r.Backing, r.Totals))
	for _, f := range r.Dest.Findings {
		if f.Severity != hostprep.Note || p.verbose {
			say("  %s", findingWords(f))
		}
	}
	for _, unseen := range r.Dest.Unseen {
		p.say("  cannot be checked from here: %s", unseen)
	}
}
