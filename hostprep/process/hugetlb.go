package process

import (
	"strconv"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// Hugetlb returns how many pages of each size a process has mapped, which the
// kernel has then promised to it, and how many it has.
func Hugetlb(root hostfs.Root, pid int) (mapped, faulted map[pages.Size]int64, err error) {
	text, err := root.ReadProcess(pid, "smaps")
	if err != nil {
		return nil, nil, err
	}
	mapped, faulted = smaps.Hugetlb(smaps.Parse(text))
	return mapped, faulted, nil
}

// HugetlbInAll is Hugetlb of a process whose smaps can't be read and that is to have so many pages
// of each size; nil: not known. It goes by the sum of all sizes.
func HugetlbInAll(root hostfs.Root, pid int, most map[pages.Size]int64) map[pages.Size]int64 {
	text, _ := root.Read("proc", strconv.Itoa(pid), "status")
	kib, err := hostfs.StatusHugetlb(text)
	if err != nil {
		return nil
	}
	all := int64(0)
	for size, n := range most {
		all += n * int64(size)
	}
	if kib*pages.KiB >= all {
		return most
	}
	there := map[pages.Size]int64{}
	for size := range most {
		there[size] = kib * pages.KiB / int64(size)
	}
	if len(there) > 1 {
		return nil
	}
	return there
}
