package hostprep

import (
	"context"
	"errors"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// HoldOptions is how hard Hold tries.
type HoldOptions struct {
	Reserve int64 // bytes of ordinary memory that the host keeps; 0: the rule's
	Effort  pool.Effort
}

// Hold gets the pages that the start of a guest lacks, all or nothing, for the
// guest's claim, which must have begun. What it changed in the pools is
// returned; with a finding the host could not give enough for the guest to
// start, and nothing was kept.
func (h Host) Hold(ctx context.Context, ledger *pool.Ledger, uuid string, guest Guest, o HoldOptions) ([]Change, *Finding, error) {
	var changed []Change
	// Look, fix, look again: a pool whose pages are partly surplus of another
	// guest first turns those into its own when it grows.
	for range 3 {
		guest.Pending = ledger.Pending(uuid)
		state, err := pool.Read(h.Root)
		if err != nil {
			return changed, nil, err
		}
		needs := Shortfall(state, guest)
		if len(needs) == 0 {
			return changed, nil, nil
		}
		if guest.HeadroomKiB, err = h.Headroom(o.Reserve); err != nil {
			return changed, nil, err
		}
		why := exceeds(needs, guest.HeadroomKiB)
		if why == "" {
			err := ledger.Grow(ctx, uuid, needs, o.Effort)
			if short := (*pool.Short)(nil); errors.As(err, &short) {
				why = short.Error()
			} else if err != nil {
				return changed, nil, err
			}
		}
		if why != "" {
			return changed, h.refuse(guest, why), nil
		}
		after, err := pool.Read(h.Root)
		if err != nil {
			return changed, nil, err
		}
		changed = append(changed, PoolChanges(h, state, after)...)
	}
	return changed, nil, nil
}

// refuse says why the pages could not be had, unless the guest may start
// without: what was to be sure of may also come from overcommit or from
// another node.
func (h Host) refuse(guest Guest, why string) *Finding {
	findings, err := poolCheck.Detect(h, guest)
	if err == nil {
		if verdict, _, _ := Conclude(findings); verdict != NoMemory && verdict != BadDomain {
			return nil
		}
	}
	return &Finding{Check: poolCheck.Name, Severity: Blocker, Verdict: NoMemory, Have: why, Need: "all of them",
		Do: "stop a guest, use less memory, or reserve the pages at boot when memory is not fragmented", Changes: []Change{}}
}

// exceeds says how growth would leave the host too little ordinary memory.
func exceeds(needs []pool.Need, headroomKiB int64) string {
	for _, need := range needs {
		if can := headroomKiB / need.Size.KiB(); can < need.Pages {
			short := pool.Short{Need: need, Got: max(0, can)}
			return short.Error() + " and leave the host the memory that it keeps for itself"
		}
		headroomKiB -= need.Pages * need.Size.KiB()
	}
	return ""
}

// Headroom is how many KiB the pools may still grow. The host keeps reserve
// bytes of ordinary memory; 0: the rule's.
func (h Host) Headroom(reserve int64) (int64, error) {
	state, err := pool.Read(h.Root)
	if err != nil {
		return 0, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return 0, err
	}
	if reserve == 0 {
		reserve = pool.Reserve(mem.Total)
	}
	return pool.Headroom(state, mem.Total, mem.Available, reserve) / pages.KiB, nil
}
