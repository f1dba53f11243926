package capacity

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// BeyondHeadroom is the first need whose pages would leave the host too little ordinary memory.
func BeyondHeadroom(needs []pool.Need, a hostprep.Allowance) *pool.Short {
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
func Allowance(h host.Host, uuid string, reserve int64) (hostprep.Allowance, error) {
	headroomKiB, reserve, err := Headroom(h, reserve)
	if err != nil {
		return hostprep.Unasked(), err
	}
	pending, err := h.Pending(uuid)
	return hostprep.Allowance{HeadroomKiB: headroomKiB, Reserve: reserve, Pending: pending, Kept: nil}, err
}

// Headroom is how many KiB the pools may still grow when the host keeps reserve
// bytes of ordinary memory; 0: the rule's, which is returned.
func Headroom(h host.Host, reserve int64) (headroomKiB, kept int64, err error) {
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
