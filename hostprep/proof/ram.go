package proof

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// ramMapping is a mapping of QEMU that is a part of the guest's RAM.
type ramMapping struct {
	smaps.Mapping
	guestKiB int64 // at which of the guest's addresses it begins, give or take whole huge pages
}

// ramMappings finds the guest's RAM among QEMU's mappings: for each backend the mapping
// that fits its size best, of those for which QEMU asks for huge pages (MADV_HUGEPAGE) or
// that are on hugetlb pages. Heap and TCG's code are not among them, but the memory of
// video cards is. Without backends the largest mappings are the RAM.
func ramMappings(all []smaps.Mapping, ramKiB int64, backends []pages.Backend) []ramMapping {
	var found []smaps.Mapping
	for _, m := range all {
		if !m.Writable || m.Executable || !m.Has("hg") && !m.Has("ht") {
			continue
		}
		// Join mappings that mbind or another call has split.
		if last := len(found) - 1; last >= 0 && found[last].End == m.Start && found[last].Name == m.Name && found[last].PageKiB == m.PageKiB {
			l := &found[last]
			l.End, l.SizeKiB, l.RSSKiB, l.SwapKiB = m.End, l.SizeKiB+m.SizeKiB, l.RSSKiB+m.RSSKiB, l.SwapKiB+m.SwapKiB
			l.THPKiB, l.HugetlbKiB = l.THPKiB+m.THPKiB, l.HugetlbKiB+m.HugetlbKiB
			continue
		}
		found = append(found, m)
	}
	slices.SortStableFunc(found, func(a, b smaps.Mapping) int { return cmp.Compare(a.SizeKiB, b.SizeKiB) })
	var ram []ramMapping
	if len(backends) == 0 {
		for _, m := range slices.Backward(found) {
			if ramKiB <= 0 {
				break
			}
			ramKiB -= m.SizeKiB
			ram = append(ram, ramMapping{m, 0})
		}
		return ram
	}
	guestKiB := int64(0)
	for _, b := range backends {
		at := guestKiB
		if b.Kind == pages.RAM || b.Kind == pages.Cell { // the cells follow each other
			guestKiB += b.MemoryKiB
		} else {
			at = 0
		}
		if b.Kind == pages.VirtioMem {
			continue // no RAM before the guest's driver plugs it
		}
		i := slices.IndexFunc(found, func(m smaps.Mapping) bool { return m.SizeKiB >= b.MemoryKiB })
		if i >= 0 {
			ram = append(ram, ramMapping{found[i], at})
			found = slices.Delete(found, i, i+1)
		}
	}
	return ram
}

// pluggedKiB is what virtio-mem devices have on hugetlb pages, which is not counted as RAM: it
// is there only as long as the guest's driver keeps it plugged. QEMU reserves no pages for such
// a device (reserve=off, VmFlags nr).
func pluggedKiB(all []smaps.Mapping, backends []pages.Backend) (kib int64) {
	for _, m := range all {
		is := func(b pages.Backend) bool { return b.Kind == pages.VirtioMem && b.MemoryKiB == m.SizeKiB }
		if m.Has("ht") && m.Has("nr") && slices.ContainsFunc(backends, is) {
			kib += m.HugetlbKiB
		}
	}
	return kib
}

// addHidden adds the transparent huge pages that smaps leaves out: on Linux 6.1,
// where a host has several nodes, those that NUMA balancing has unmapped to see
// who touches them. numa_maps has them, with the KiB that it counts in all.
func addHidden(mappings []smaps.Mapping, anonKiB map[uint64]int64) {
	for i := range mappings {
		m := &mappings[i]
		if hidden := min(anonKiB[m.Start], m.SizeKiB) - m.RSSKiB; hidden > 0 && m.Has("hg") && !m.Has("ht") {
			m.THPKiB += hidden
			m.RSSKiB += hidden
		}
	}
}

// parseNumaAnon reads the KiB of anonymous memory in each mapping, by where it
// starts, from /proc/PID/numa_maps:
//
//	7fa33b400000 default anon=24576 dirty=24576 active=0 N0=512 N1=24064 kernelpagesize_kB=4
func parseNumaAnon(text string) map[uint64]int64 {
	kib := map[uint64]int64{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		start, err := strconv.ParseUint(fields[0], 16, 64)
		var anon, page uint64
		for _, field := range fields[1:] {
			if n, ok := strings.CutPrefix(field, "anon="); ok {
				anon, _ = strconv.ParseUint(n, 10, 40)
			} else if n, ok := strings.CutPrefix(field, "kernelpagesize_kB="); ok {
				page, _ = strconv.ParseUint(n, 10, 20)
			}
		}
		if err == nil {
			kib[start] = int64(anon * page)
		}
	}
	return kib
}
