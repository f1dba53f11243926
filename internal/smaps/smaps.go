// Package smaps reads the kernel's /proc/PID/smaps: text in, mappings out.
package smaps

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Mapping is one mapping of a process, as /proc/PID/smaps shows it.
type Mapping struct {
	Start, End uint64
	Writable   bool
	Executable bool
	Shared     bool
	Offset     uint64 // where in its file it begins, in bytes
	File       string // its device and inode, as 00:2b 93; "": anonymous memory
	Name       string // its file, or what the kernel calls it; "": anonymous memory
	SizeKiB    int64
	PageKiB    int64
	RSSKiB     int64 // of pages that are there; none of hugetlb pages
	SwapKiB    int64
	THPKiB     int64 // mapped as transparent huge pages
	HugetlbKiB int64 // hugetlb pages that are there
	flags      string
}

// Has says whether the mapping has one of the kernel's VmFlags: ht is of
// hugetlb pages, nr of no reservation, hg of MADV_HUGEPAGE.
func (m Mapping) Has(flag string) bool { return strings.Contains(m.flags, " "+flag+" ") }

// Parse reads /proc/PID/smaps, or of /proc/PID/maps what that has:
//
//	7f3c40000000-7f3c44000000 rw-s 00000000 00:2b 93 /dev/hugepages/libvirt/qemu/1-web1/…
//	Size:              65536 kB
//	KernelPageSize:     2048 kB
//	Rss:                   0 kB
//	AnonHugePages:         0 kB
//	Shared_Hugetlb:        0 kB
//	Private_Hugetlb:   65536 kB
//	VmFlags: rd wr sh mr mw me ms de ht sd
//
// Source: Documentation/filesystems/proc.rst of the kernel.
func Parse(text string) []Mapping {
	var mappings []Mapping
	var m *Mapping
	for line := range strings.Lines(text) {
		if first, ok := parseMapping(line); ok {
			mappings = append(mappings, first)
			m = &mappings[len(mappings)-1]
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || m == nil {
			continue
		}
		switch name {
		case "Size":
			m.SizeKiB = parseKB(value)
		case "KernelPageSize":
			m.PageKiB = parseKB(value)
		case "Rss":
			m.RSSKiB = parseKB(value)
		case "Swap":
			m.SwapKiB = parseKB(value)
		case "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped":
			m.THPKiB += parseKB(value)
		case "Shared_Hugetlb", "Private_Hugetlb":
			m.HugetlbKiB += parseKB(value)
		case "VmFlags":
			m.flags = " " + strings.TrimSpace(value) + " "
		}
	}
	return mappings
}

// At returns the mapping in which an address lies; false: there is none.
func At(mappings []Mapping, address uint64) (Mapping, bool) {
	for _, m := range mappings {
		if m.Start <= address && address < m.End {
			return m, true
		}
	}
	return Mapping{}, false
}

// Since returns the mappings that are new in after. A mapping of a file is known by the file, and
// anonymous memory by its address.
func Since(before, after []Mapping) []Mapping {
	name := func(m Mapping) string { return cmp.Or(m.File, strconv.FormatUint(m.Start, 16)) }
	had := map[string]bool{}
	for _, m := range before {
		had[name(m)] = true
	}
	return slices.DeleteFunc(slices.Clone(after), func(m Mapping) bool { return had[name(m)] })
}

// parseMapping reads the first line of a mapping.
func parseMapping(line string) (Mapping, bool) {
	first, rest, _ := strings.Cut(line, "-")
	last, rest, _ := strings.Cut(rest, " ")
	perms, rest, ok := strings.Cut(rest, " ")
	start, err := strconv.ParseUint(first, 16, 64)
	if err != nil || !ok || len(perms) != 4 {
		return Mapping{}, false
	}
	end, err := strconv.ParseUint(last, 16, 64)
	if err != nil || end < start {
		return Mapping{}, false
	}
	m := Mapping{Start: start, End: end, Writable: perms[1] == 'w', Executable: perms[2] == 'x', Shared: perms[3] == 's'}
	if fields := strings.SplitN(rest, " ", 4); len(fields) == 4 { // offset, device, inode, name
		m.Offset, _ = strconv.ParseUint(fields[0], 16, 64)
		if fields[2] != "0" {
			m.File = fields[1] + " " + fields[2]
		}
		m.Name = strings.TrimSpace(fields[3])
	}
	return m, true
}

// parseKB reads "    65536 kB", 0 where it is something else.
func parseKB(value string) int64 {
	digits, _ := strings.CutSuffix(strings.TrimSpace(value), " kB")
	n, err := strconv.ParseInt(digits, 10, 52)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
