package xml

import (
	"fmt"
	"slices"
	"strings"

	"libvirt.org/go/libvirtxml"

	"vmhuge/internal/pages"
)

// Caution is what in a domain XML keeps its memory from being what the XML seems to say,
// though libvirt takes it.
type Caution struct {
	Text string // a sentence
	// Unsure says that only the start shows whether the guest starts.
	Unsure bool
}

// Cautions returns all that there are.
func Cautions(doc []byte) []Caution {
	d, err := parseOnce(doc)
	if err != nil {
		return nil
	}
	var found []Caution
	for _, caution := range []struct {
		text   func(*document) string
		unsure bool
	}{{misplaced, false}, {ownMemory, true}, {deviceMemory, true}, {uncovered, false}, {confidential, false}, {unshared, false}, {aboveMemory, false}, {tightLimit, false}, {withoutACPI, false}} {
		if text := caution.text(d); text != "" {
			found = append(found, Caution{text, caution.unsure})
		}
	}
	return found
}

// CautionTexts is Cautions as sentences alone.
func CautionTexts(doc []byte) []string {
	var said []string
	for _, c := range Cautions(doc) {
		said = append(said, c.Text)
	}
	return said
}

// misplaced is about <hugepages> where libvirt does not look for it.
func misplaced(d *document) string {
	if d.root.child("hugepages") == nil {
		return ""
	}
	return "libvirt does not read the <hugepages> directly below <domain>: it belongs into <memoryBacking>"
}

// withoutACPI is about DIMMs of a guest without ACPI, which libvirt takes and QEMU does not.
func withoutACPI(d *document) string {
	found, err := backends(&d.domain, 0)
	if err != nil || !d.domain.lacksACPI() || !slices.ContainsFunc(found, func(b backend) bool { return b.kind == pages.DIMM }) {
		return ""
	}
	return "QEMU starts no guest with a DIMM and without ACPI, on whatever pages: add <acpi/> to <features>"
}

// uncovered is about cells and memory devices that no <page> names, where others have huge
// pages: libvirt leaves them on small ones and says nothing.
func uncovered(d *document) string {
	dom := &d.domain
	huge, err := readHugepages(dom, 0)
	if err != nil || !slices.ContainsFunc(huge, func(h hugepage) bool { return h.size != smallPage }) {
		return ""
	}
	found, err := backends(dom, 0)
	if err != nil {
		return ""
	}
	var bare []string
	for _, b := range found {
		if !b.own && !slices.ContainsFunc(huge, func(h hugepage) bool { return h.nodes == nil || b.cell >= 0 && h.nodes.Bit(b.cell) == 1 }) {
			what := fmt.Sprintf("cell %d", b.cell)
			if b.kind != pages.Cell {
				what = fmt.Sprintf("memory device %d of cell %d", b.index, b.cell)
			}
			bare = append(bare, fmt.Sprintf("%s (%s)", what, pages.FormatKiB(b.kib)))
		}
	}
	if bare == nil {
		return ""
	}
	return fmt.Sprintf("no <page> of its <hugepages> names %s, which stays on small pages: add it to a nodeset, or take the nodeset out; --size puts every cell on one size", strings.Join(bare, " or "))
}

// protected says whether it is a guest of Secure Execution on s390x.
func (d *document) protected() bool { return d.security() == "s390-pv" }

// guestMemfd says whether the guest's private memory is on no pages that could be chosen.
func (d *document) guestMemfd() bool { return d.security() == "sev-snp" || d.security() == "tdx" }

// security is the kind of <launchSecurity>; "": there is none.
func (d *document) security() (kind string) {
	for _, el := range d.root.all("launchSecurity") {
		kind = d.value(el, "type")
	}
	return kind
}

// confidential is about guests whose memory the host may not read. In QEMU hugetlb
// pages stay allocated when a guest makes them private (ram_block_convert_range()), and
// none may back a protected guest (handle_diag_308() of target/s390x).
func confidential(d *document) string {
	switch kind := d.security(); {
	case d.guestMemfd() && !hasHugepages(&d.domain):
		return "with " + kind + " the guest's private memory is a guest_memfd, which has no huge pages"
	case d.guestMemfd():
		return "with " + kind + " the guest's private memory is a guest_memfd, which has no huge pages: hugetlb pages back only what it shares, and stay allocated beside the private memory"
	case d.protected() && hasHugepages(&d.domain):
		return "with s390-pv QEMU does not let a guest on reserved huge pages enter protected mode: take out its <hugepages> or its <launchSecurity>"
	}
	return ""
}

// unshared is about devices whose process must map the guest's memory: libvirt wants each
// cell shared in words, also on a memfd (qemuValidateDomainDefVhostUserRequireSharedMemory()).
func unshared(d *document) string {
	var need pages.Traits
	d.devices(&need)
	if need.SharedBy == 0 || !slices.ContainsFunc(accesses(&d.domain), func(a string) bool { return a != "shared" }) {
		return ""
	}
	const why = "its virtiofs, vhost-user or vhost-vdpa devices need all of its memory shared: libvirt refuses the start, or the devices do not work; "
	if slices.ContainsFunc(d.domain.Cells, func(c libvirtxml.DomainCell) bool { return c.MemAccess == "private" }) {
		return why + "make each <cell> memAccess='shared'"
	}
	return why + "add <access mode='shared'/> to <memoryBacking>"
}

// aboveMemory is about a <currentMemory> that libvirt lowers
// (virDomainDefPostParseMemory()).
func aboveMemory(d *document) string {
	dom := &d.domain
	if dom.Memory == nil || dom.CurrentMemory == nil || len(dom.Cells) > 0 {
		return ""
	}
	all, err := kib(uint64(dom.Memory.Value), dom.Memory.Unit)
	now, err2 := kib(uint64(dom.CurrentMemory.Value), dom.CurrentMemory.Unit)
	if err != nil || err2 != nil || now <= all {
		return ""
	}
	return fmt.Sprintf("its <currentMemory> of %s is above its <memory> of %s: libvirt lowers it to that", pages.FormatKiB(now), pages.FormatKiB(all))
}

// tightLimit is about a <hard_limit> that leaves QEMU no room beside the RAM: of what
// is locked or pinned libvirt makes it the limit (qemuDomainGetMemLockLimitBytes()).
func tightLimit(d *document) string {
	t, err := d.traits()
	if err != nil || !t.Pinned() || t.LimitKiB == 0 || t.LimitKiB > t.MemoryKiB {
		return ""
	}
	return fmt.Sprintf("its <hard_limit> of %s is no more than its memory of %s, and libvirt makes it the limit of locked memory: with <locked/> or passed-through devices the start fails; raise it by 1 GiB at least, or take it out",
		pages.FormatKiB(t.LimitKiB), pages.FormatKiB(t.MemoryKiB))
}
