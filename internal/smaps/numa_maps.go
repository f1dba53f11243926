package smaps

import (
	"slices"
	"strconv"
	"strings"
)

// NUMAMapping is one mapping of hugetlb pages.
type NUMAMapping struct {
	PageKiB int64
	Pages   map[int]int64 // by host node
}

// ParseNUMA reads the hugetlb mappings of /proc/PID/numa_maps:
//
//	7f2e00000000 default file=/dev/hugepages/libvirt/qemu/1-web1/… huge anon=32 dirty=32 N0=20 N1=12 kernelpagesize_kB=2048
//	7ffd1c0f2000 default stack anon=5 dirty=5 N0=5 kernelpagesize_kB=4
//
// Source: Documentation/filesystems/proc.rst and show_numa_map() of the kernel.
func ParseNUMA(text string) []NUMAMapping {
	var maps []NUMAMapping
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if !slices.Contains(fields, "huge") {
			continue
		}
		m := NUMAMapping{Pages: map[int]int64{}}
		for _, field := range fields {
			key, value, ok := strings.Cut(field, "=")
			n, err := strconv.ParseInt(value, 10, 64)
			if !ok || err != nil || n < 0 || n > 1<<40 {
				continue
			}
			if key == "kernelpagesize_kB" {
				m.PageKiB = n
			} else if digits, ok := strings.CutPrefix(key, "N"); ok {
				if node, err := strconv.ParseUint(digits, 10, 16); err == nil {
					m.Pages[int(node)] += n
				}
			}
		}
		maps = append(maps, m)
	}
	return maps
}
