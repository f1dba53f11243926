package smaps

import (
	"slices"
	"strings"
	"testing"
)

const some = `55d5c0000000-55d5c0021000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
KernelPageSize:        4 kB
Rss:                  12 kB
7f3c40000000-7f3c80000000 rw-p 00000000 00:0f 93 /anon_hugepage (deleted)
Size:            1048576 kB
KernelPageSize:     2048 kB
MMUPageSize:        2048 kB
Rss:                   0 kB
AnonHugePages:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:  524288 kB
VmFlags: rd wr mr mw me de ht sd
7f3c90000000-7f3cd0000000 rw-p 00000000 00:00 0
KernelPageSize:        4 kB
Rss:             1048576 kB
AnonHugePages:   1046528 kB
`

func TestAt(t *testing.T) {
	huge := Mapping{Start: 0x7f3c40000000, End: 0x7f3c80000000, Writable: true, File: "00:0f 93", Name: "/anon_hugepage (deleted)", SizeKiB: 1 << 20, PageKiB: 2048,
		HugetlbKiB: 1 << 19, flags: " rd wr mr mw me de ht sd "}
	for address, want := range map[uint64]Mapping{
		0x7f3c40000000: huge,
		0x7f3c7fffffff: huge,
		0x7f3c80000000: {}, // behind it
		0x7f3c90001000: {Start: 0x7f3c90000000, End: 0x7f3cd0000000, Writable: true, PageKiB: 4, RSSKiB: 1 << 20, THPKiB: 1<<20 - 2048},
	} {
		if got, ok := At(Parse(some), address); got != want || ok != (want != Mapping{}) {
			t.Errorf("%x: %+v, %v", address, got, ok)
		}
	}
}

// A new DIMM is told from one that leaves meanwhile, also where it gets the address of that.
func TestSince(t *testing.T) {
	const (
		ram     = "7f3c00000000-7f3c10000000 rw-p 00000000 00:2b 93 /dev/hugepages/qemu_back_mem.pc.ram.a (deleted)\n"
		leaving = "7f3c40000000-7f3c48000000 rw-p 00000000 00:2b 94 /dev/hugepages/qemu_back_mem._objects_memdimm0.b (deleted)\n"
		dimm    = "7f3c40000000-7f3c48000000 rw-p 00000000 00:2b 95 /dev/hugepages/qemu_back_mem._objects_memdimm1.c (deleted)\n"
		heap    = "7f3c50000000-7f3c50021000 rw-p 00000000 00:00 0 \n"
		grown   = "7f3c50000000-7f3c50042000 rw-p 00000000 00:00 0 \n"
		stack   = "7f3c60000000-7f3c60800000 rw-p 00000000 00:00 0 \n"
	)
	since := Since(Parse(ram+leaving+heap), Parse(ram+dimm+grown+stack))
	if want := Parse(dimm + stack); !slices.Equal(since, want) {
		t.Errorf("%+v, want %+v", since, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(some, uint64(0x7f3c40000000))
	f.Fuzz(func(t *testing.T, text string, address uint64) {
		mappings := Parse(text)
		for _, m := range mappings {
			if m.End < m.Start || min(m.SizeKiB, m.PageKiB, m.RSSKiB, m.SwapKiB, m.THPKiB, m.HugetlbKiB) < 0 || strings.Contains(m.Name, "\n") {
				t.Errorf("%+v", m)
			}
		}
		if m, ok := At(mappings, address); ok && (address < m.Start || address >= m.End) {
			t.Errorf("%x: %+v", address, m)
		}
	})
}
