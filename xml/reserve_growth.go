package xml

import "vmhuge/internal/pages"

// mayGrow refuses to reserve pages for a growth that the guest's XML does not allow.
func (e *editor) mayGrow(found []backend, kib int64) error {
	if kib == 0 {
		return nil
	}
	dom := &e.domain
	m, err := e.memory()
	if err != nil {
		return err
	}
	room, size := max(0, m.MaxKiB-m.TotalKiB), found[0].page
	switch {
	case m.MaxKiB == 0:
		return refusal(dom, noCause, "add <maxMemory slots='16' unit='GiB'>SIZE</maxMemory> with virsh edit", "it has no <maxMemory>, so that it can't grow while it runs")
	case kib > room:
		return refusal(dom, noCause, "reserve less, or raise <maxMemory>", "its <maxMemory> of %s has room for %s more, not for %s", pages.FormatKiB(m.MaxKiB), pages.FormatKiB(room), pages.FormatKiB(kib))
	case size > 0 && kib*pages.KiB%int64(size) != 0:
		return refusal(dom, noCause, "reserve a multiple", "%s is not a multiple of its pages of %s", pages.FormatKiB(kib), size)
	}
	return nil
}

// growthItem is the pages that are reserved for the growth of a guest, of the size and on the
// nodes of its first memory; none if it can't grow any more, or the size is not known.
func (d *document) growthItem(first backend, kib int64, source string) []pages.Item {
	m, err := d.memory()
	if err != nil || kib == 0 || first.page <= smallPage {
		return nil
	}
	kib = min(kib, m.MaxKiB-m.TotalKiB)
	n := kib * pages.KiB / int64(first.page)
	if n <= 0 {
		return nil
	}
	return []pages.Item{{GuestNode: first.cell, Kind: pages.Growth, PageSize: first.page, Pages: n, MemoryKiB: n * first.page.KiB(),
		HostNodes: first.nodes, Mode: first.mode, Source: source}}
}
