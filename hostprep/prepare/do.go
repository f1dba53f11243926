package prepare

import (
	"context"
	"errors"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
)

// Result is what a preparation has changed, and what it has left to do.
type Result struct {
	Findings []hostprep.Finding `json:"findings"`
	Changed  []change.Change    `json:"changed"`
	// Reservation is what is reserved for a program now, or would be; nil: as before.
	Reservation *Reservation `json:"reservation,omitempty"`
	// Restart says that libvirt's daemon must be restarted to see the changes.
	Restart bool `json:"-"`
	// Reboot says that only the next boot brings all that was asked for.
	Reboot bool `json:"-"`
	// Notices are sentences about what the ledger has set right for guests.
	Notices []string `json:"-"`
}

func (r *Result) closeLedger(book *ledger.Ledger) {
	book.Close()
	r.Notices = append(r.Notices, book.Notices("")...)
}

// Would says what Do would change.
func Would(h host.Host, p Options) (Result, error) {
	h = h.Snapshot()
	would := Result{Changed: []change.Change{}}
	if p.Demote != nil {
		f, err := p.wouldDemote(h)
		would.Findings = []hostprep.Finding{f}
		return would, err
	}
	var possible bool
	if would.Findings, possible = Plan(h, p); !possible {
		return would, nil
	}
	lacks, err := lacksPages(h, p)
	would.Findings = append(would.Findings, lacks...)
	would.Reboot = slices.ContainsFunc(would.Findings, func(f hostprep.Finding) bool { return f.Reboot })
	if err != nil {
		return would, err
	}
	would.Reservation, err = p.reservation(h)
	return would, err
}

// Do makes the changes that a preparation needs: all those of a finding, or none of them.
// A finding whose changes fail does not stop the others; an interruption does. With an error
// the result says what was done before it.
func Do(ctx context.Context, h host.Host, p Options, effort pool.Effort) (done Result, err error) {
	done = Result{Findings: []hostprep.Finding{}, Changed: []change.Change{}}
	journal := journal.Journal{Host: h}
	if err := journal.Finish(); err != nil {
		return done, err
	}
	if p.Demote != nil {
		var refused *hostprep.Finding
		if refused, err = p.demote(ctx, h, &done); refused != nil {
			done.Findings = append(done.Findings, *refused)
		}
		return done, unlessInterrupted(err)
	}
	// What could not be looked at is not done either.
	findings, possible := plan(h.Snapshot(), p, hostprep.Blocker)
	for _, f := range findings {
		if !f.Fixable {
			done.Findings = append(done.Findings, f)
			continue
		}
		if err := ctx.Err(); err != nil {
			return done, unlessInterrupted(err)
		}
		// Interrupted while a tool ran, such as update-grub, it is all undone.
		if err := journal.Apply(f.Changes); err != nil {
			if ctx.Err() != nil {
				return done, unlessInterrupted(ctx.Err())
			}
			f.Severity, f.Fixable, f.Have = hostprep.Blocker, false, f.Have+", and changing it failed: "+err.Error()
			done.Findings = append(done.Findings, f)
			continue
		}
		done.Changed = append(done.Changed, f.Changes...)
		done.Restart, done.Reboot = done.Restart || f.Restart, done.Reboot || f.Reboot
	}
	reservation, err := p.reservation(h)
	if err != nil {
		return done, err
	}
	if !possible {
		return done, nil
	}
	if state, err := h.Pools(); err == nil && reservation == nil {
		if lacks, err := p.lacks(h, state); err == nil && len(lacks) == 0 {
			return done, nil
		}
	}
	book, err := ledger.Open(ctx, h.Root)
	if err != nil {
		return done, unlessInterrupted(err)
	}
	defer done.closeLedger(book)
	changed, short, err := holdPrepared(ctx, h, book, p, effort)
	done.Changed = append(done.Changed, changed...)
	if err == nil && len(short) == 0 {
		done.Reservation = reservation
	}
	for i := range short {
		short[i] = p.untilReboot(short[i])
		done.Reboot = done.Reboot || short[i].Reboot
	}
	done.Findings = append(done.Findings, short...)
	return done, unlessInterrupted(err)
}

func unlessInterrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return advice.New("preparing the host", "interrupted", "run it again, or revert what was done with vmhuge undo")
	}
	return err
}
