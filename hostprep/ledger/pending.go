package ledger

import (
	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// pending is what a starting guest will still take; nothing once it has all its pages.
func (c Claim) pending(root hostfs.Root) []pool.Pending {
	var mapped, faulted map[pages.Size]int64
	if c.PID != 0 {
		mapped, faulted, _ = hugetlbOf(root, c.PID)
	}
	unmapped, unfaulted := map[pages.Size]int64{}, map[pages.Size]int64{}
	for _, take := range c.Takes {
		unmapped[take.Size] += take.Pages
		unfaulted[take.Size] += take.Pages
	}
	for _, had := range c.Has {
		if mapped != nil { // without QEMU's account the claim counts in full
			mapped[had.Size] -= had.Pages
			faulted[had.Size] -= had.Pages
		}
	}
	for size := range unfaulted {
		unmapped[size] = max(0, unmapped[size]-mapped[size])
		unfaulted[size] = max(0, unfaulted[size]-faulted[size])
	}
	var pending []pool.Pending
	for _, take := range c.Takes {
		// Which of its takes the guest has done is not known: each may still be to
		// come, but in sum no more than the rest.
		p := pool.Pending{Take: take, Unmapped: min(take.Pages, unmapped[take.Size]), Unfaulted: min(take.Pages, unfaulted[take.Size])}
		unmapped[take.Size] -= p.Unmapped
		if p.Unfaulted > 0 {
			pending = append(pending, p)
		}
	}
	return pending
}

// hugetlbOf returns how many pages of each size a process has mapped, which the
// kernel has then promised to it, and how many it has.
func hugetlbOf(root hostfs.Root, pid int) (mapped, faulted map[pages.Size]int64, err error) {
	text, err := root.ReadProcess(pid, "smaps")
	if err != nil {
		return nil, nil, err
	}
	mapped, faulted = sumHugetlb(smaps.Parse(text))
	return mapped, faulted, nil
}

// sumHugetlb adds up the hugetlb mappings. One with the flag nr (virtio-mem's)
// was mapped without a promise: of that only what is there counts.
func sumHugetlb(mappings []smaps.Mapping) (mapped, faulted map[pages.Size]int64) {
	mapped, faulted = map[pages.Size]int64{}, map[pages.Size]int64{}
	for _, m := range mappings {
		if m.PageKiB <= 0 || !m.Has("ht") {
			continue
		}
		size := pages.SizeOfKiB(m.PageKiB)
		there := m.HugetlbKiB / m.PageKiB
		faulted[size] += there
		if m.Has("nr") {
			mapped[size] += there
		} else {
			mapped[size] += m.SizeKiB / m.PageKiB
		}
	}
	return mapped, faulted
}
