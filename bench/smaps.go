package bench

import (
	"fmt"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// mapping is what /proc/PID/smaps says of one mapping, in bytes.
type mapping struct {
	page              pages.Size
	rss, thp, hugetlb int64
}

// parseSmaps reads the mapping in which an address lies:
//
//	7f3c40000000-7f3c80000000 rw-p 00000000 00:0f 93 /anon_hugepage (deleted)
//	Size:            1048576 kB
//	KernelPageSize:     2048 kB
//	Private_Hugetlb: 1048576 kB
//
// Source: Documentation/filesystems/proc.rst of the kernel.
func parseSmaps(text string, address uintptr) (mapping, error) {
	var m mapping
	inside, found := false, false
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		key, isValue := strings.CutSuffix(fields[0], ":")
		if !isValue {
			first, last, _ := strings.Cut(fields[0], "-")
			from, ferr := strconv.ParseUint(first, 16, 64)
			to, terr := strconv.ParseUint(last, 16, 64)
			inside = ferr == nil && terr == nil && from <= uint64(address) && uint64(address) < to
			found = found || inside
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 52)
		if !inside || err != nil || kib < 0 {
			continue
		}
		bytes := kib * pages.KiB
		switch key {
		case "KernelPageSize":
			m.page = pages.Size(bytes)
		case "Rss":
			m.rss = bytes
		case "AnonHugePages":
			m.thp = bytes
		case "Shared_Hugetlb", "Private_Hugetlb":
			m.hugetlb += bytes
		}
	}
	if !found {
		return m, fmt.Errorf("/proc/self/smaps has no mapping at %x", address)
	}
	return m, nil
}
