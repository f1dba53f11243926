package hostprep

import (
	"context"

	"vmhuge/hostprep/pool"
)

// PreparedHost is what a preparation has changed, and what it has left to do.
type PreparedHost struct {
	Findings []Finding `json:"findings"`
	Changed  []Change  `json:"changed"`
}

// DoPrepare makes the changes that a preparation lacks, those of each finding all
// or none: what can't be done on this host keeps the rest from nothing.
func (h Host) DoPrepare(ctx context.Context, p Preparation, effort pool.Effort) (PreparedHost, error) {
	done := PreparedHost{Findings: []Finding{}, Changed: []Change{}}
	journal := Journal{Host: h}
	if err := journal.Tell(); err != nil {
		return done, err
	}
	for _, f := range h.Prepare(p) {
		if !f.Fixable {
			done.Findings = append(done.Findings, f)
			continue
		}
		if err := journal.Apply(f.Changes); err != nil {
			f.Fixable, f.Have = false, f.Have+", and that can't be changed: "+err.Error()
			done.Findings = append(done.Findings, f)
			continue
		}
		done.Changed = append(done.Changed, f.Changes...)
	}
	if !h.lacksNow(p) {
		return done, nil
	}
	ledger, err := pool.Open(ctx, h.Root)
	if err != nil {
		return done, err
	}
	defer ledger.Close()
	changed, findings, err := h.holdPrepared(ctx, ledger, p, effort)
	done.Changed = append(done.Changed, changed...)
	done.Findings = append(done.Findings, findings...)
	return done, err
}
