// Package proof reads from the kernel's account what backs a running guest's RAM.
package proof

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// Verdict says how much of a guest's RAM is on huge pages.
type Verdict string

// The verdicts of a proof.
const (
	AllHuge Verdict = "all-huge"
	Partly  Verdict = "partly"
	NoHuge  Verdict = "none"
)

// Proof is what the kernel's own accounting says of a running guest's RAM.
type Proof struct {
	RAMKiB        int64            `json:"ram_kib"`
	HugetlbKiB    map[string]int64 `json:"hugetlb_kib"` // by page size in KiB
	THPKiB        int64            `json:"thp_kib"`
	SmallKiB      int64            `json:"small_kib"` // on plain pages, or not touched yet
	ByNode        map[string]int64 `json:"by_node"`   // hugetlb KiB on each host node
	BackedPercent float64          `json:"backed_percent"`
	Verdict       Verdict          `json:"verdict"`
	Evidence      []string         `json:"evidence"` // the files read

	ReservedKiB  int64 `json:"reserved_kib"`  // on hugetlb pages that are promised to it, but not used yet
	UntouchedKiB int64 `json:"untouched_kib"` // of SmallKiB, what has no page yet
	Preallocated bool  `json:"preallocated"`  // every byte of the RAM has its page already
	// Aligned says that guest and host addresses agree modulo the huge page
	// throughout the RAM. Otherwise the processor can't map the guest with such pages.
	Aligned bool      `json:"aligned"`
	Parts   []RAMPart `json:"parts"`

	KVM        *KVMPages `json:"kvm,omitempty"`         // of a guest under KVM
	KVMUnknown string    `json:"kvm_unknown,omitempty"` // why KVM's pages can't be told
}

// RAMPart is one mapping of QEMU that is a part of the guest's RAM.
type RAMPart struct {
	Address string `json:"address"` // where it starts in QEMU
	KiB     int64  `json:"kib"`
	PageKiB int64  `json:"page_kib"` // 4: plain memory
	HugeKiB int64  `json:"huge_kib"` // on huge pages of whatever sort
	Aligned bool   `json:"aligned"`
}

// Hugetlb returns the KiB on hugetlb pages of all sizes.
func (p Proof) Hugetlb() int64 {
	var sum int64
	for _, kib := range p.HugetlbKiB {
		sum += kib
	}
	return sum
}

// Read reads what the kernel has given to the QEMU process of a guest with so
// much RAM, in these backends, as far as they are known. It needs root.
func Read(h host.Host, pid int, ramKiB int64, backends ...pages.Backend) (Proof, error) {
	p := Proof{RAMKiB: ramKiB, HugetlbKiB: map[string]int64{}, ByNode: map[string]int64{}}
	read := func(name string) (string, error) {
		text, err := h.Root.ReadGuest(pid, name, ramKiB)
		if errors.Is(err, fs.ErrPermission) {
			err = advice.Wrap(err, "looking at the guest's memory", advice.Refused(os.Geteuid()))
		}
		if file := h.Root.Path("proc", strconv.Itoa(pid), name); err == nil && !slices.Contains(p.Evidence, file) {
			p.Evidence = append(p.Evidence, file)
		}
		return text, err
	}
	hugetlb := func() (int64, error) {
		status, err := read("status")
		if err != nil {
			return 0, err
		}
		return hostfs.StatusHugetlb(status)
	}
	total, err := hugetlb()
	if err != nil {
		return p, err
	}
	if total > 0 {
		maps, err := read("numa_maps")
		if err != nil {
			return p, err
		}
		for _, m := range smaps.ParseNUMA(maps) {
			for node, n := range m.Pages {
				p.HugetlbKiB[strconv.FormatInt(m.PageKiB, 10)] += n * m.PageKiB
				p.ByNode[strconv.Itoa(node)] += n * m.PageKiB
			}
		}
		if sum := p.Hugetlb(); sum != total { // the guest may get pages meanwhile, or give some up
			now, err := hugetlb()
			if err != nil {
				return p, err
			}
			if sum < min(total, now) || sum > max(total, now) {
				return p, fmt.Errorf("/proc/%d: status counts %d KiB of hugetlb pages, then %d KiB, and numa_maps %d KiB", pid, total, now, sum)
			}
		}
	}
	text, err := read("smaps")
	if err != nil {
		return p, err
	}
	huge, err := h.THPSize()
	if err != nil {
		return p, err
	}
	mappings := smaps.Parse(text)
	_, there := smaps.Hugetlb(mappings)
	for size, n := range there { // what it has got since numa_maps was read is no longer reserved
		if key := strconv.FormatInt(size.KiB(), 10); n*size.KiB() > p.HugetlbKiB[key] {
			p.HugetlbKiB[key] = n * size.KiB()
		}
	}
	p.look(mappings, backends, huge.KiB())
	if balancing, err := h.Root.ReadInt("proc", "sys", "kernel", "numa_balancing"); err == nil && balancing != 0 && p.UntouchedKiB > 0 {
		maps, err := read("numa_maps")
		if err != nil {
			return p, err
		}
		addHidden(mappings, parseNumaAnon(maps))
		p.look(mappings, backends, huge.KiB())
	}
	return p, readKVM(h, pid, &p)
}

// look completes the proof by the mappings that are the RAM.
func (p *Proof) look(mappings []smaps.Mapping, backends []pages.Backend, thpKiB int64) {
	ram := ramMappings(mappings, p.RAMKiB, backends)
	p.Parts = nil
	var found, thp, reserved, untouched int64
	p.Aligned = len(ram) > 0
	for _, m := range ram {
		part := RAMPart{Address: fmt.Sprintf("%x", m.Start), KiB: m.SizeKiB, PageKiB: m.PageKiB, HugeKiB: m.HugetlbKiB + m.THPKiB}
		page := thpKiB
		if m.Has("ht") {
			page = m.PageKiB
			if unused := max(0, m.SizeKiB-m.HugetlbKiB); m.Has("nr") {
				untouched += unused
			} else {
				reserved += unused
			}
		} else {
			thp += m.THPKiB
			untouched += max(0, m.SizeKiB-m.RSSKiB-m.SwapKiB)
		}
		part.Aligned = page > 0 && (int64(m.Start/1024)-m.guestKiB)%page == 0 && m.Start%1024 == 0
		p.Aligned = p.Aligned && part.Aligned
		p.Parts = append(p.Parts, part)
		found += m.SizeKiB
	}
	rest := max(0, p.RAMKiB-max(0, p.Hugetlb()-pluggedKiB(mappings, backends)))
	p.ReservedKiB = min(rest, reserved)
	rest -= p.ReservedKiB
	p.THPKiB = min(rest, thp)
	p.SmallKiB = rest - p.THPKiB
	p.UntouchedKiB = min(p.SmallKiB, untouched)
	p.Preallocated = found >= p.RAMKiB && p.ReservedKiB == 0 && p.UntouchedKiB == 0
	huge := p.RAMKiB - p.SmallKiB
	switch {
	case huge <= 0:
		p.Verdict = NoHuge
	case p.SmallKiB > 0:
		p.Verdict = Partly
	default:
		p.Verdict = AllHuge
	}
	if p.RAMKiB > 0 {
		p.BackedPercent = float64(huge*1000/p.RAMKiB) / 10 // rounded down: 100 is all of it
	}
}
