package collapse

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/smaps"
)

// Account is what backs a guest's RAM, from the kernel's account of its QEMU.
type Account struct {
	HugeKiB      int64            `json:"huge_kib"`      // on huge pages, transparent or of a pool
	HugetlbKiB   int64            `json:"hugetlb_kib"`   // of those, of a pool, which need no collapse
	SmallKiB     int64            `json:"small_kib"`     // on small pages, or swapped out
	UntouchedKiB int64            `json:"untouched_kib"` // without pages yet
	ByNode       map[string]int64 `json:"by_node"`       // KiB on each host node, on pages of any size
}

// read completes a proof by the parts of QEMU's mappings that are RAM, and their nodes.
func (q *qemu) read(h host.Host, p proof.Proof) ([]ramRange, Account, error) {
	a := Account{HugeKiB: p.RAMKiB - p.SmallKiB, HugetlbKiB: p.Hugetlb() + p.ReservedKiB, SmallKiB: p.SmallKiB - p.UntouchedKiB, UntouchedKiB: p.UntouchedKiB, ByNode: map[string]int64{}}
	maps, err := h.Root.ReadGuest(q.pid, "maps", p.RAMKiB)
	if err != nil {
		return nil, a, err
	}
	ram, err := ramRanges(smaps.Parse(maps), p.Parts, int64(os.Getpagesize()/1024))
	if err != nil {
		return nil, a, err
	}
	// A kernel without NUMA has no such file.
	if text, err := h.Root.ReadGuest(q.pid, "numa_maps", p.RAMKiB); err == nil {
		addNodes(a.ByNode, text, ram)
	}
	return ram, a, nil
}

// ramRanges are the mappings, or parts of them, in which the RAM is.
func ramRanges(mappings []smaps.Mapping, parts []proof.RAMPart, smallKiB int64) ([]ramRange, error) {
	var ram []ramRange
	for _, part := range parts {
		start, err := strconv.ParseUint(part.Address, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not an address of memory", part.Address)
		}
		end := start + uint64(part.KiB)*1024
		for _, m := range mappings {
			if m.End <= start || m.Start >= end {
				continue
			}
			ram = append(ram, ramRange{
				span: span{max(start, m.Start), min(end, m.End)}, file: m.Shared || m.Name != "", mapped: m.Start, offset: m.Offset,
				hugetlb: part.PageKiB > smallKiB,
			})
		}
	}
	return ram, nil
}

// addNodes adds up the KiB on each node in /proc/PID/numa_maps, of mappings in the RAM:
//
//	7fa33b400000 default anon=24576 dirty=24576 active=0 N0=512 N1=24064 kernelpagesize_kB=4
func addNodes(byNode map[string]int64, text string, ram []ramRange) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		start, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil || !inRAM(ram, start) {
			continue
		}
		pages, page := map[string]int64{}, int64(0)
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			n, err := strconv.ParseUint(value, 10, 40)
			if err != nil {
				continue
			}
			if key == "kernelpagesize_kB" {
				page = int64(n)
			} else if node, ok := strings.CutPrefix(key, "N"); ok {
				pages[node] += int64(n)
			}
		}
		for node, n := range pages {
			byNode[node] += n * page
		}
	}
}

func inRAM(ram []ramRange, address uint64) bool {
	for _, r := range ram {
		if r.start <= address && address < r.end {
			return true
		}
	}
	return false
}
