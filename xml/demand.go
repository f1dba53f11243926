package xml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// Demand returns what a start of the domain takes from the hugetlb pools.
// defaultSize is what a bare <hugepages/> stands for; 0: unknown. What libvirt
// or QEMU would refuse for the memory's backing is an error.
func Demand(doc []byte, defaultSize pages.Size) (pages.Demand, error) {
	d, err := parseOnce(doc)
	if err != nil {
		return pages.Demand{}, err
	}
	dom := &d.domain
	found, err := backends(dom, defaultSize)
	if err != nil {
		return pages.Demand{}, err
	}
	tune, err := readNumatune(dom)
	if err != nil {
		return pages.Demand{}, err
	}
	demand := pages.Demand{
		Domain: dom.Name, UUID: dom.UUID, Type: dom.Type,
		Backing: pages.None, Items: []pages.Item{}, Auto: tune.auto,
		Shared: shared(dom), PartlyShared: len(sharedCells(dom)) > 0 && len(sharedCells(dom)) < len(dom.Cells), Elastic: shared(dom) || len(dom.Memorydevs) > 0,
		Locked: dom.MemoryBacking != nil && dom.MemoryBacking.MemoryLocked != nil,
	}
	policy := d.policy()
	if d.wantsTHP() {
		demand.Backing, demand.AtLeast = pages.THP, policy.atLeast
	}
	demand.EmulatorCPUs, demand.Partition, demand.Unconfined, demand.Context = emulatorCPUs(dom), partition(dom), unconfined(dom), context(dom)
	if dom.ID != nil {
		demand.ID = *dom.ID
	}
	if tune.mode == pages.Strict || tune.mode == pages.Restrictive {
		demand.CPUSetNodes = tune.nodes
	}
	for _, b := range found {
		demand.Backends = append(demand.Backends, pages.Backend{Kind: b.kind, MemoryKiB: b.kib,
			Uncommitted: b.page != smallPage || source(dom) == "file" && shared(dom)})
		if b.page == smallPage {
			continue
		}
		if err := b.refused(dom, false); err != nil {
			return pages.Demand{}, err
		}
		item := pages.Item{
			GuestNode: b.cell, Kind: b.kind, PageSize: b.page, Pages: -1, MemoryKiB: b.kib,
			HostNodes: b.nodes, Mode: b.mode, OwnNodes: b.ownNodes, Source: cmp.Or(source(dom), "file"),
			Device: b.index,
		}
		switch {
		case b.kind == pages.VirtioMem: // reserve=off: the guest's driver takes the pages later
			if item.Pages = 0; b.page != 0 {
				item.LaterPages = b.page.Ceil(b.later * pages.KiB)
			}
		case b.page == 0:
		default:
			item.Pages = b.page.Ceil(b.kib * pages.KiB)
		}
		demand.Backing, demand.Keep, demand.IfShort = pages.Hugetlb, policy.keep, policy.ifShort
		demand.Items = append(demand.Items, item)
	}
	if demand.Backing == pages.Hugetlb {
		demand.Items = append(demand.Items, d.growthItem(found[0], policy.growth, cmp.Or(source(dom), "file"))...)
	}
	return demand, nil
}

// Fits tells whether whatever would come to be on pages of that size fills
// them without a rest.
func Fits(doc []byte, size pages.Size) (bool, error) {
	d, err := parseOnce(doc)
	if err != nil {
		return false, err
	}
	found, err := backends(&d.domain, 0)
	return err == nil && !slices.ContainsFunc(found, func(b backend) bool {
		return !b.own && b.kib*pages.KiB%max(int64(size), 1) != 0
	}), err
}

// A backend is one memory object that libvirt has QEMU make at start.
type backend struct {
	kind  pages.Kind
	cell  int        // -1: no guest NUMA node
	index int        // of the memory device
	kib   int64      // as libvirt passes it to QEMU
	later int64      // KiB that a virtio-mem device is asked to plug
	block int64      // KiB that it plugs at a time; 0: not a virtio-mem device
	page  pages.Size // 4 KiB: plain pages; 0: the host's default, unknown here
	own   bool       // a memory device states its page size itself
	// ownNodes says that it states its nodes itself.
	ownNodes bool
	binding
}

// backends returns the memory objects in the order in which QEMU makes them:
// the RAM, or the cells by id, then the memory devices.
func backends(dom *domain, defaultSize pages.Size) ([]backend, error) {
	if err := unknownValue(dom); err != nil {
		return nil, err
	}
	huge, err := readHugepages(dom, defaultSize)
	if err != nil {
		return nil, err
	}
	tune, err := readNumatune(dom)
	if err != nil {
		return nil, err
	}
	devices, plugged, err := deviceBackends(dom, huge, tune)
	if err != nil {
		return nil, err
	}
	var found []backend
	align, _ := dom.alignment()
	seen := make([]bool, len(dom.Cells))
	for i, c := range dom.Cells {
		size, err := kib(uint64(c.Memory), c.Unit)
		if err != nil {
			return nil, err
		}
		id := cellID(c, i)
		if id < 0 || id >= len(seen) || seen[id] {
			return nil, refusal(dom, cellIDs, "", "the ids of its %d cells are not 0 to %d", len(seen), len(seen)-1)
		}
		seen[id] = true
		found = append(found, backend{kind: pages.Cell, cell: id, kib: ceil(size, align)})
	}
	if len(seen) == 0 {
		total, err := int64(0), error(nil)
		if dom.Memory != nil {
			total, err = kib(uint64(dom.Memory.Value), dom.Memory.Unit)
		}
		if err != nil {
			return nil, err
		}
		if total <= plugged {
			return nil, refusal(dom, memoryMissing, "", "<memory> is missing, zero, or less than its memory devices")
		}
		found = append(found, backend{kind: pages.RAM, cell: -1, kib: ceil(total-plugged, align)})
	}
	slices.SortFunc(found, func(a, b backend) int { return cmp.Compare(a.cell, b.cell) })
	// A cell may have no memory, and then no backend.
	if found = slices.DeleteFunc(found, func(b backend) bool { return b.kib == 0 }); len(found) == 0 {
		return nil, refusal(dom, memoryMissing, "", "none of its cells has any")
	}
	for i := range found {
		b := &found[i]
		b.page = pageOf(huge, b.cell)
		if b.binding, err = tune.of(b.cell, ""); err != nil {
			return nil, err
		}
	}
	return append(found, devices...), nil
}

// deviceBackends returns the memory devices that can be on huge pages, and how
// many KiB all memory devices are in <memory>.
func deviceBackends(dom *domain, huge []hugepage, tune numatune) (found []backend, plugged int64, err error) {
	_, align := dom.alignment()
	for i, m := range dom.Memorydevs {
		b := backend{kind: pages.Kind(m.Model), cell: -1, index: i}
		if m.Target == nil || m.Target.Size == nil || m.Target.Size.Value == 0 {
			return nil, 0, refusal(dom, noCause, "", "its device %d has no size", i)
		}
		size, err := kib(uint64(m.Target.Size.Value), m.Target.Size.Unit)
		if err != nil {
			return nil, 0, err
		}
		b.kib = ceil(size, align)
		if plugged += size; plugged > most {
			return nil, 0, refusal(dom, noCause, "", "it is more than any machine has")
		}
		if b.kind != pages.DIMM && b.kind != pages.VirtioMem {
			continue // backed by files of their own, or by none
		}
		if r := m.Target.Requested; r != nil {
			if b.later, err = kib(uint64(r.Value), r.Unit); err != nil {
				return nil, 0, err
			}
		}
		if block := m.Target.Block; block != nil && b.kind == pages.VirtioMem {
			if b.block, err = kib(uint64(block.Value), block.Unit); err != nil {
				return nil, 0, err
			}
		}
		if node := m.Target.Node; node != nil && len(dom.Cells) > 0 {
			if node.Value >= uint(len(dom.Cells)) {
				return nil, 0, refusal(dom, cellMissing, "", "its device %d belongs to cell %d, which the guest does not have", i, node.Value)
			}
			b.cell = int(node.Value)
		}
		b.page = pageOf(huge, b.cell)
		nodemask := ""
		if m.Source != nil {
			nodemask = m.Source.NodeMask
			if p := m.Source.PageSize; p != nil && p.Value > 0 {
				if b.page, err = dom.pageSize(p.Value, p.Unit); err != nil {
					return nil, 0, err
				}
				b.own = true
			}
		}
		b.ownNodes = nodemask != ""
		if b.binding, err = tune.of(b.cell, nodemask); err != nil {
			return nil, 0, err
		}
		found = append(found, b)
	}
	return found, plugged, nil
}

// refused says why libvirt 9.0 or QEMU 7.2 would not give a backend its pages;
// strict: or why newer ones would not. Pages of the default size, where that is
// not known, are judged as usual ones then.
func (b backend) refused(dom *domain, strict bool) error {
	// QEMU refuses it on whatever pages, and libvirt leaves that to QEMU: an edit may be made.
	if !strict && b.kind == pages.DIMM && b.page != smallPage && dom.lacksACPI() {
		return b.refusal(dom, dimmWithoutACPI, "add <acpi/> to <features>", "memory devices need ACPI")
	}
	if b.page == 0 && strict {
		b.page = dom.usual(nil)
	}
	if b.page == smallPage || b.page == 0 {
		return nil
	}
	size := b.kib * pages.KiB
	switch {
	case !slices.Contains(pages.HugeSizes(dom.hostArch(), dom.kvm()), b.page):
		why, do := noSize(dom.hostArch(), dom.kvm(), b.page)
		return b.refusal(dom, pageSizeMissing, do, "%s", why)
	case b.block > 0 && b.block*pages.KiB < int64(b.page):
		return b.refusal(dom, virtioMemBlock, "raise <block> to that size", "its blocks of %s are smaller than its pages of %s", pages.FormatKiB(b.block), b.page)
	case size%int64(b.page) == 0:
		return nil
	}
	n := b.page.Ceil(size)
	full := pages.FormatBytes(n * int64(b.page))
	do := "raise it to " + full
	if b.kind != pages.VirtioMem {
		do += ", as enable --round does"
	}
	if size < int64(b.page) {
		smaller := func(s pages.Size) bool { return s < b.page && int64(s) <= size }
		if slices.ContainsFunc(pages.HugeSizes(dom.hostArch(), dom.kvm()), smaller) {
			do = "take smaller pages (--size), or " + do
		}
		return b.refusal(dom, smallerThanPage, do, "its %s are less than one page of %s", pages.FormatBytes(size), b.page)
	}
	if strict || b.bound() || source(dom) == "memfd" || b.kind == pages.DIMM || b.kind == pages.VirtioMem {
		return b.refusal(dom, unaligned, do, "its %s are not a multiple of its pages of %s: %d of them are %s", pages.FormatBytes(size), b.page, n, full)
	}
	return nil
}

// lacksACPI says that QEMU takes no DIMM, as the guest has no ACPI: on ppc64 it needs none.
func (dom *domain) lacksACPI() bool {
	return dom.ACPI == nil && slices.Contains([]string{"x86_64", "i686", "aarch64"}, dom.arch())
}

// noSize says that no kernel of an architecture has huge pages of a size, and
// what to take instead: what was meant, if only the unit is wrong.
func noSize(arch string, kvm bool, size pages.Size) (why, do string) {
	sizes := pages.HugeSizes(arch, kvm)
	why = "no kernel has huge pages of " + size.String()
	switch {
	case slices.Contains(pages.HugeSizes(arch, false), size):
		why = fmt.Sprintf("KVM on %s takes no pages of %s", arch, size)
	case arch != "":
		why = fmt.Sprintf("no %s kernel has huge pages of %s", arch, size)
	}
	decimal := func(of, binary int64) pages.Size { // MB for MiB, which libvirt rounds up to a KiB
		return pages.Size((int64(size) + pages.KiB) / of * binary)
	}
	for _, meant := range []pages.Size{size * 1024, size / 1024, size * pages.Size(pages.MiB), decimal(1e6, pages.MiB), decimal(1e9, pages.GiB), decimal(1e3, pages.KiB)} {
		if meant > 0 && slices.Contains(sizes, meant) {
			return why, fmt.Sprintf("%s was probably meant: size='%d' unit='KiB'", meant, meant.KiB())
		}
	}
	return why, takeOne(arch, kvm)
}

// takeOne names the sizes that there are.
func takeOne(arch string, kvm bool) string {
	if arch == "" {
		return "take 2 MiB or 1 GiB, or what the host has in /sys/kernel/mm/hugepages"
	}
	var words []string
	for _, s := range pages.HugeSizes(arch, kvm) {
		words = append(words, s.String())
	}
	return "take " + strings.Join(words, " or ")
}

// at returns the place in the document that states the size.
func (b backend) at() string {
	switch b.kind {
	case pages.Cell:
		return fmt.Sprintf("cell/%d", b.cell)
	case pages.DIMM, pages.VirtioMem:
		return fmt.Sprintf("device/%d", b.index)
	}
	return "memory"
}

func (b backend) refusal(dom *domain, cause advice.Cause, do, why string, args ...any) error {
	e := refusal(dom, cause, do, why, args...)
	switch b.kind {
	case pages.Cell:
		e.What = fmt.Sprintf("cell %d of the %s", b.cell, e.What)
	case pages.DIMM, pages.VirtioMem:
		e.What = fmt.Sprintf("device %d of the %s", b.index, e.What)
	}
	return e
}

// refusal says why the memory of a domain cannot be had.
func refusal(dom *domain, cause advice.Cause, do, why string, args ...any) *advice.Error {
	return &advice.Error{What: "memory of " + cmp.Or(dom.Name, "the domain"), Why: fmt.Sprintf(why, args...), Do: do, Cause: cause}
}
