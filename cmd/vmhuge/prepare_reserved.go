package main

import "vmhuge/hostprep/prepare"

// showReserved tells what is reserved for a program now, or would be.
func (p *program) showReserved(r *prepare.Reservation, dryRun bool) {
	done := "done"
	if dryRun {
		done = "would"
	}
	if r != nil {
		p.say("prepare: %s: %s", done, r)
	}
}
