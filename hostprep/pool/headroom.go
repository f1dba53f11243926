package pool

import "vmhuge/internal/pages"

// Reserve is the ordinary memory that a host keeps for itself unless told
// otherwise: 2 GiB, and on hosts of more than 64 GiB another 0.5 GiB for each
// 64 GiB of RAM. All values in bytes.
func Reserve(memTotal int64) int64 {
	reserve := 2 * pages.GiB
	if memTotal > 64*pages.GiB {
		reserve += memTotal / 128
	}
	return reserve
}

// Most is how many pages of a size a host can have in all beside the pools of other sizes, when it
// keeps reserve bytes.
func Most(state State, memTotal, reserve int64, size pages.Size) int64 {
	left := memTotal - reserve
	for _, g := range state.Globals {
		if g.Size != size {
			left -= g.Total * int64(g.Size)
		}
	}
	return max(0, left/int64(size))
}

// Headroom is how many bytes the pools may still grow. Ordinary memory never shrinks below
// the reserve, and a quarter of the reserve stays available to other programs: the guests'
// QEMU processes need ordinary memory too. Pages that are added take less of it than their
// size where the kernel frees their page structs, which describe small pages of this size;
// 0: it frees none.
func Headroom(state State, memTotal, memAvailable, reserve int64, freed pages.Size) int64 {
	spare := max(0, Spare(state, memTotal, memAvailable, reserve))
	if freed != 0 && len(state.Globals) > 0 { // of large pages it frees more
		size := state.Globals[0].Size
		structs := size.Structs(freed)
		spare += spare / (int64(size) - structs) * structs
	}
	return spare
}

// Spare is how many bytes of ordinary memory the pools may still take; less than nothing
// where they have taken too much.
func Spare(state State, memTotal, memAvailable, reserve int64) int64 {
	return min(memTotal-reserve-Pooled(state), memAvailable-reserve/4)
}

// Pooled is how many bytes of the host's memory the pools hold.
func Pooled(state State) (bytes int64) {
	for _, g := range state.Globals {
		bytes += g.Total * int64(g.Size)
	}
	return bytes
}

// NodeReserve is the ordinary memory in bytes that each of so many nodes keeps
// of the host's reserve: its share of what stays available to other programs, and enough
// for one guest's QEMU.
func NodeReserve(reserve int64, nodes int) int64 {
	return max(128*pages.MiB, reserve/4/int64(nodes))
}
