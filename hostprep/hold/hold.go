// Package hold gets the pages that a start lacks, all or nothing.
package hold

import (
	"context"
	"errors"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// Options is how hard Hold tries.
type Options struct {
	Reserve int64 // bytes of ordinary memory that the host keeps; 0: the rule's
	// Foresee refuses what compaction could not give either, without trying. The
	// look takes a lock of the kernel's, for tens of milliseconds where memory is fragmented.
	Foresee bool
	Effort  pool.Effort
	// Beside is what guests will take that shall have their pages as well.
	Beside []pool.Pending
}

// Grow gets the pages that the start of a guest lacks, all or nothing, for the
// guest's claim, which must have begun. What it changed in the pools is
// returned; with a finding the host could not give enough for the guest to
// start, and nothing was kept.
func Grow(ctx context.Context, h host.Host, book *ledger.Ledger, uuid string, guest hostprep.Guest, o Options) ([]change.Change, *hostprep.Finding, error) {
	var changed []change.Change
	if guest.Kept == nil {
		guest.Kept = check.KeptFor(h, guest)
	}
	// Look, fix, look again: somebody else may have taken pages meanwhile.
	for tries := 0; ; tries++ {
		state, pending, err := poolsNow(h, book, uuid)
		if err != nil {
			return changed, nil, err
		}
		guest.Pending = append(pending, o.Beside...)
		needs := capacity.Shortfall(state, guest)
		if len(needs) == 0 {
			return changed, nil, nil
		}
		if tries == 0 { // a guest that is gone may hold what is needed
			if err := book.Audit(); err != nil {
				return changed, nil, err
			}
			continue
		}
		if err := capacity.Keep(&guest.Allowance, h, o.Reserve); err != nil {
			return changed, nil, err
		}
		o.Effort.Reserve = guest.Reserve
		short := capacity.BeyondHeadroom(needs, guest.Allowance)
		if growth, err := capacity.Foresee(h, guest.Allowance, needs, o.Foresee); short == nil && err == nil {
			short = growth.Missing(needs)
		}
		if short == nil && tries == 6 {
			short = &pool.Short{Need: needs[0]}
		}
		if short == nil {
			if err := book.Grow(ctx, uuid, needs, o.Effort); err != nil && !errors.As(err, &short) {
				return changed, nil, err
			}
		}
		if short != nil {
			return changed, refuse(h, guest, short), nil
		}
		after, err := pool.Read(h.Root)
		if err != nil {
			return changed, nil, err
		}
		changed = append(changed, change.PoolsChanged(h, state, after)...)
	}
}

// Pages begins the claim of a guest and gets the pages that its start lacks. With a
// finding the host could not give enough for the guest to start. Where it fails
// there is no claim any more but of what was kept for the guest, and no change.
func Pages(ctx context.Context, h host.Host, book *ledger.Ledger, claim ledger.Claim, guest hostprep.Guest, o Options) ([]change.Change, *hostprep.Finding, error) {
	if err := book.Begin(claim); err != nil {
		return nil, nil, err
	}
	changed, refusal, err := Grow(ctx, h, book, claim.UUID, guest, o)
	if refusal == nil && err == nil {
		_, err = book.KeepFor(claim.UUID, guest.Demand.Keep)
	}
	if refusal == nil && err == nil {
		return changed, nil, nil
	}
	if _, _, rerr := book.Release(claim.UUID); rerr != nil && err != nil {
		// More than an interruption, if it was one: all is not as before.
		err = advice.Wrap(rerr, err.Error()+", and the pages that were added are still there", "vmhuge status shows it, and the next run tries again")
	} else if rerr != nil {
		err = rerr
	}
	return nil, refusal, err
}

// poolsNow reads the pools, and what starting guests will yet take, of one
// moment: pages that QEMU maps in between would count twice, or not at all.
func poolsNow(h host.Host, book *ledger.Ledger, uuid string) (pool.State, []pool.Pending, error) {
	pending := book.Pending(uuid)
	for try := 0; ; try++ {
		state, err := pool.Read(h.Root)
		if err != nil {
			return state, nil, err
		}
		again := book.Pending(uuid)
		// While a large guest is filled they change all the time: then twice.
		if try == 50 || slices.EqualFunc(pending, again, func(a, b pool.Pending) bool {
			return a.Unmapped == b.Unmapped && a.Unfaulted == b.Unfaulted
		}) {
			return state, pending, nil
		}
		pending = again
	}
}

// refuse says why the pages could not be had, unless the guest may start
// without: what was to be sure of may also come from overcommit or from
// another node.
func refuse(h host.Host, guest hostprep.Guest, short *pool.Short) *hostprep.Finding {
	findings, err := check.Pool.Detect(h, guest)
	if err == nil {
		if verdict, _, _ := hostprep.Conclude(findings); verdict != hostprep.NoMemory && verdict != hostprep.BadDomain {
			return nil
		}
	}
	f := ShortFinding(short)
	if short.Stuck != nil {
		return f
	}
	if state, err := h.Pools(); err == nil {
		f.Do += capacity.ByDemotion(h.Root, state, pool.Need{Nodes: short.Nodes, Size: short.Size, Pages: short.Pages - short.Got}, guest.Pending)
	}
	if _, area, err := capacity.ReadEmptying(h); err == nil && area && short.Size == pages.Size1GiB && short.Kept == 0 {
		f.Do = "start it again, for what programs pin for a moment, as for direct I/O, cannot be moved out of the kernel's area; or stop a guest, or use less memory"
	}
	return f
}

// ShortFinding is a pool that could not grow.
func ShortFinding(short *pool.Short) *hostprep.Finding {
	do := "stop a guest, use less memory, or reserve the pages at boot when memory is not fragmented"
	if short.Kept > 0 {
		do = "stop a guest, use less memory, or let the host keep less (--host-reserve)"
	}
	if short.ByCommit {
		do = "stop a guest, use less memory, or let the kernel commit more: raise vm.overcommit_ratio, or sysctl vm.overcommit_memory=0"
	}
	if short.Stuck != nil {
		do = short.Stuck.Do()
	}
	return &hostprep.Finding{Check: check.Pool.Name, Severity: hostprep.Blocker, Verdict: hostprep.NoMemory, Have: short.Error(), Need: "all of them",
		Do: do, Changes: []change.Change{}, Short: short}
}
