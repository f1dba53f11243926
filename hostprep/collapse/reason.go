package collapse

// Reason says why memory is still on small pages.
type Reason string

// The reasons.
const (
	Unaligned Reason = "unaligned"  // not a whole huge page at a place where one can be
	Untouched Reason = "untouched"  // the guest has not used any of it, so that it has no pages
	Swapped   Reason = "swapped"    // partly swapped out
	NoBlock   Reason = "no-block"   // ENOMEM: no free memory in one piece, even after compaction
	CgroupMax Reason = "cgroup-max" // EBUSY: the limit of its memory cgroup
	Busy      Reason = "busy"       // EAGAIN: pages are pinned, as for VFIO, or were in use
	Refused   Reason = "refused"    // EINVAL for any other reason, such as MADV_NOHUGEPAGE
	NotTried  Reason = "not-tried"  // stopped before
)

// Left is memory that is not on huge pages, and why.
type Left struct {
	Reason Reason `json:"reason"`
	KiB    int64  `json:"kib"`
}

// sum adds up what is left, in the order of the constants.
func sum(left map[uint64]Reason, blockKiB int64, unaligned []span) []Left {
	sums := map[Reason]int64{Unaligned: kib(unaligned)}
	for _, reason := range left {
		sums[reason] += blockKiB
	}
	var all []Left
	for _, reason := range []Reason{Unaligned, Untouched, Swapped, NoBlock, CgroupMax, Busy, Refused, NotTried} {
		if sums[reason] > 0 {
			all = append(all, Left{reason, sums[reason]})
		}
	}
	return all
}
