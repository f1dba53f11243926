package smaps

import (
	"slices"

	"vmhuge/internal/pages"
)

// VirtioMem says that a mapping is virtio-mem's: the kernel has promised nothing for it, and the
// guest has what it touches.
func (m Mapping) VirtioMem() bool { return m.Has("ht") && m.Has("nr") }

// Hugetlb adds up the hugetlb mappings by page size: the pages that are mapped, of virtio-mem's
// those that are there, and all that are there.
func Hugetlb(mappings []Mapping) (mapped, there map[pages.Size]int64) {
	mapped, there = map[pages.Size]int64{}, map[pages.Size]int64{}
	for _, m := range mappings {
		if m.PageKiB <= 0 || !m.Has("ht") {
			continue
		}
		size, n := pages.SizeOfKiB(m.PageKiB), m.HugetlbKiB/m.PageKiB
		there[size] += n
		if !m.VirtioMem() {
			n = m.SizeKiB / m.PageKiB
		}
		mapped[size] += n
	}
	return mapped, there
}

// Lasting are the pages that are mapped, touched or not, without virtio-mem's: DIMMs, and what a
// guest began with.
func Lasting(mappings []Mapping) map[pages.Size]int64 {
	mapped, _ := Hugetlb(slices.DeleteFunc(slices.Clone(mappings), Mapping.VirtioMem))
	return mapped
}
