package hostprep

import (
	"context"
	"errors"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// HoldOptions is how hard Hold tries.
type HoldOptions struct {
	Reserve int64 // bytes of ordinary memory that the host keeps; 0: the rule's
	// Foresee refuses what compaction could not give either, without trying. The
	// look takes a lock of the kernel's, on a large host for milliseconds.
	Foresee bool
	Effort  pool.Effort
	// Beside is what guests will take that shall have their pages as well.
	Beside []pool.Pending
}

// hold gets the pages that the start of a guest lacks, all or nothing, for the
// guest's claim, which must have begun. What it changed in the pools is
// returned; with a finding the host could not give enough for the guest to
// start, and nothing was kept.
func (h Host) hold(ctx context.Context, ledger *pool.Ledger, uuid string, guest Guest, o HoldOptions) ([]Change, *Finding, error) {
	var changed []Change
	guest.kept = h.keptFor(guest)
	// Look, fix, look again: somebody else may have taken pages meanwhile.
	for tries := 0; ; tries++ {
		state, pending, err := h.poolsNow(ledger, uuid)
		if err != nil {
			return changed, nil, err
		}
		guest.Pending = append(pending, o.Beside...)
		needs := Shortfall(state, guest)
		if len(needs) == 0 {
			return changed, nil, nil
		}
		if tries == 0 { // a guest that is gone may hold what is needed
			if err := ledger.Audit(); err != nil {
				return changed, nil, err
			}
			continue
		}
		guest.HeadroomKiB, guest.Reserve, err = h.Headroom(o.Reserve)
		if err != nil {
			return changed, nil, err
		}
		o.Effort.Reserve = guest.Reserve
		short := exceeds(needs, guest.Allowance)
		if growth, err := h.foresee(guest.Allowance, o.Foresee); short == nil && err == nil {
			short = growth.exceeds(needs)
		}
		if short == nil && tries == 6 {
			short = &pool.Short{Need: needs[0]}
		}
		if short == nil {
			if err := ledger.Grow(ctx, uuid, needs, o.Effort); err != nil && !errors.As(err, &short) {
				return changed, nil, err
			}
		}
		if short != nil {
			return changed, h.refuse(guest, short), nil
		}
		after, err := pool.Read(h.Root)
		if err != nil {
			return changed, nil, err
		}
		changed = append(changed, poolsChanged(h, state, after)...)
	}
}

// Hold begins the claim of a guest and gets the pages that its start lacks. With a
// finding the host could not give enough for the guest to start. Where it fails
// there is no claim any more, and no change.
func (h Host) Hold(ctx context.Context, ledger *pool.Ledger, claim pool.Claim, guest Guest, o HoldOptions) ([]Change, *Finding, error) {
	if err := ledger.Begin(claim); err != nil {
		return nil, nil, err
	}
	changed, refusal, err := h.hold(ctx, ledger, claim.UUID, guest, o)
	if refusal == nil && err == nil {
		return changed, nil, nil
	}
	if _, _, rerr := ledger.Release(claim.UUID); rerr != nil && err != nil {
		// More than an interruption, if it was one: all is not as before.
		err = advice.Wrap(rerr, err.Error()+", and what was added is still there", "vmhuge status shows it, and the next run tries again")
	} else if rerr != nil {
		err = rerr
	}
	return nil, refusal, err
}

// poolsNow reads the pools, and what starting guests will yet take, of one
// moment: pages that QEMU maps in between would count twice, or not at all.
func (h Host) poolsNow(ledger *pool.Ledger, uuid string) (pool.State, []pool.Pending, error) {
	pending := ledger.Pending(uuid)
	for try := 0; ; try++ {
		state, err := pool.Read(h.Root)
		if err != nil {
			return state, nil, err
		}
		again := ledger.Pending(uuid)
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
func (h Host) refuse(guest Guest, short *pool.Short) *Finding {
	findings, err := poolCheck.Detect(h, guest)
	if err == nil {
		if verdict, _, _ := Conclude(findings); verdict != NoMemory && verdict != BadDomain {
			return nil
		}
	}
	return shortFinding(short)
}

// shortFinding is a pool that could not grow.
func shortFinding(short *pool.Short) *Finding {
	do := "stop a guest, use less memory, or reserve the pages at boot when memory is not fragmented"
	if short.Kept > 0 {
		do = "stop a guest, use less memory, or let the host keep less (--host-reserve)"
	}
	return &Finding{Check: poolCheck.Name, Severity: Blocker, Verdict: NoMemory, Have: short.Error(), Need: "all of them",
		Do: do, Changes: []Change{}}
}

// exceeds says how growth would leave the host too little ordinary memory.
func exceeds(needs []pool.Need, a Allowance) *pool.Short {
	left := a.HeadroomKiB
	for _, need := range needs {
		if can := left / need.Size.KiB(); can < need.Pages {
			return &pool.Short{Need: need, Got: max(0, can), Kept: a.Reserve}
		}
		left -= need.Pages * need.Size.KiB()
	}
	return nil
}

// Allowance reads what the host may give the guest with a UUID while it keeps
// reserve bytes of ordinary memory; 0: the rule's.
func (h Host) Allowance(uuid string, reserve int64) (Allowance, error) {
	headroomKiB, reserve, err := h.Headroom(reserve)
	if err != nil {
		return Unasked(), err
	}
	pending, err := h.Pending(uuid)
	return Allowance{HeadroomKiB: headroomKiB, Reserve: reserve, Pending: pending, kept: nil}, err
}

// Headroom is how many KiB the pools may still grow when the host keeps reserve
// bytes of ordinary memory; 0: the rule's, which is returned.
func (h Host) Headroom(reserve int64) (headroomKiB, kept int64, err error) {
	state, err := h.Pools()
	if err != nil {
		return 0, 0, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return 0, 0, err
	}
	if reserve == 0 {
		reserve = pool.Reserve(mem.Total)
	}
	return pool.Headroom(state, mem.Total, mem.Available, reserve) / pages.KiB, reserve, nil
}
