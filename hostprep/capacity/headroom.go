package capacity

import (
	"errors"
	"io/fs"

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
			return &pool.Short{Need: need, Got: max(0, can), Kept: a.Reserve, ByCommit: a.ByCommit}
		}
		left -= need.Pages * need.Size.KiB()
	}
	return nil
}

// Allowance reads what the host may give the guest with a UUID while it keeps
// reserve bytes of ordinary memory; 0: the rule's.
func Allowance(h host.Host, uuid string, reserve int64) (hostprep.Allowance, error) {
	a := hostprep.Unasked()
	if err := Keep(&a, h, reserve); err != nil {
		return hostprep.Unasked(), err
	}
	var err error
	a.Pending, err = h.Pending(uuid)
	return a, err
}

// Headroom is how many KiB the pools may still grow when the host keeps reserve
// bytes of ordinary memory; 0: the rule's, which is returned.
func Headroom(h host.Host, reserve int64) (headroomKiB, kept int64, err error) {
	var a hostprep.Allowance
	err = Keep(&a, h, reserve)
	return a.HeadroomKiB, a.Reserve, err
}

// Keep sets in an allowance how much the pools may still grow when the host keeps reserve bytes
// of ordinary memory, 0: the rule's: by its memory, and by what the kernel lets programs commit.
func Keep(a *hostprep.Allowance, h host.Host, reserve int64) error {
	state, err := h.Pools()
	if err != nil {
		return err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return err
	}
	commit, err := h.Commit()
	if errors.Is(err, fs.ErrPermission) { // SELinux may keep a hook from this setting (sysctl_vm_overcommit_t)
		commit, err = host.Commit{}, nil
	}
	if err != nil {
		return err
	}
	if reserve == 0 {
		reserve = pool.Reserve(mem.Total)
	}
	freed, err := h.StructsFreed()
	if err != nil {
		return err
	}
	room, byCommit := Room(pool.Headroom(state, mem.Total, mem.Available, reserve, freed), commit.PoolRoom(reserve))
	a.HeadroomKiB, a.Reserve, a.ByCommit = room/pages.KiB, reserve, byCommit
	return nil
}

// Room is how many bytes the pools may still grow, where the host's memory lets them grow by spare
// and the kernel's limit of what it commits by commit; byCommit says that the limit is what counts.
func Room(spare, commit int64) (bytes int64, byCommit bool) {
	spare, commit = max(0, spare), max(0, commit)
	return min(spare, commit), commit < spare
}
