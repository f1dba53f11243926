package hostprep

import (
	"context"
	"errors"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
)

// PreparedHost is what a preparation has changed, and what it has left to do.
type PreparedHost struct {
	Findings []Finding `json:"findings"`
	Changed  []Change  `json:"changed"`
	// Restart says that libvirt's daemon has yet to see what was changed.
	Restart bool `json:"-"`
}

// WouldPrepare says what DoPrepare would change.
func (h Host) WouldPrepare(p Preparation) (PreparedHost, error) {
	h = h.Remember()
	would := PreparedHost{Changed: []Change{}}
	var possible bool
	if would.Findings, possible = h.Prepare(p); !possible {
		return would, nil
	}
	lacks, err := h.lacksPages(p)
	would.Findings = append(would.Findings, lacks...)
	return would, err
}

// DoPrepare makes the changes that a preparation lacks, those of each finding all
// or none: what can't be done on this host keeps the rest from nothing. With an
// error it says what was done before.
func (h Host) DoPrepare(ctx context.Context, p Preparation, effort pool.Effort) (PreparedHost, error) {
	done := PreparedHost{Findings: []Finding{}, Changed: []Change{}}
	journal := Journal{Host: h}
	if err := journal.Tell(); err != nil {
		return done, err
	}
	findings, possible := h.Remember().Prepare(p)
	for _, f := range findings {
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
		done.Restart = done.Restart || f.Restart
	}
	if state, err := h.Pools(); !possible || err == nil && len(p.lacks(state)) == 0 {
		return done, nil
	}
	ledger, err := pool.Open(ctx, h.Root)
	if err != nil {
		return done, unlessInterrupted(err)
	}
	defer ledger.Close()
	changed, short, err := h.holdPrepared(ctx, ledger, p, effort)
	done.Changed = append(done.Changed, changed...)
	if p.Persist {
		for i := range short {
			short[i].Severity, short[i].Do = Warning, "reboot: the kernel has them then, before its memory is fragmented"
		}
	}
	done.Findings = append(done.Findings, short...)
	return done, unlessInterrupted(err)
}

func unlessInterrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return advice.New("preparing the host", "interrupted", "run it again, or vmhuge undo takes back what was done")
	}
	return err
}
