package xml

import (
	"cmp"
	"fmt"
	"slices"

	"libvirt.org/go/libvirtxml"

	"vmhuge/internal/pages"
)

// libvirt has no element for transparent huge pages. QEMU aligns anonymous
// memory to them and asks the kernel for them (MADV_HUGEPAGE), so that private
// memory of no file is all it takes, and its early allocation makes them appear
// at start. That this is what the memory is for says the mark.

// wantsTHP says whether Rewrite has put the guest on transparent huge pages.
func (d *document) wantsTHP() bool {
	el := d.root.child("metadata").child(mark)
	return el != nil && d.value(el, backedBy) == string(pages.THP)
}

// backTHP changes <memoryBacking> to memory that gets transparent huge pages.
// Memory that somebody has to share stays shared: in a memfd, since a file on
// disk has none.
func (e *editor) backTHP(threads int) error {
	dom := &e.domain
	if hasHugepages(dom) {
		return refusal(dom, noCause, "take it out first (virsh edit)", "its <hugepages> was there before vmhuge, and reserved pages are never transparent")
	}
	if dom.MemoryBacking == nil {
		dom.MemoryBacking = &libvirtxml.DomainMemoryBacking{}
	}
	b := dom.MemoryBacking
	var need pages.Traits
	e.devices(&need)
	kind, spare := "anonymous", (*element)(nil)
	switch {
	case need.SharedBy > 0 || sharedCell(dom):
		kind = "memfd"
	case slices.ContainsFunc(dom.Cells, func(c libvirtxml.DomainCell) bool { return c.MemAccess != "" }):
		return refusal(dom, noCause, "take it out first (virsh edit)", "a cell has memAccess, for which libvirt puts memory into a file")
	case b.MemoryAccess != nil:
		// For <access>, whatever its mode, libvirt puts memory into a file, too.
		spare, b.MemoryAccess = e.root.child("memoryBacking").child("memoryBacking/access"), nil
	}
	var changes []change
	// put takes the place of the child of that name, else that of <access>: so
	// that Revert finds the place again.
	put := func(name, text string) {
		el := e.root.child("memoryBacking").child("memoryBacking/" + name)
		if el == nil {
			el, spare = spare, nil
		}
		e.note(name, e.text(el), "")
		changes = append(changes, change{el, verbatim(text)})
	}
	want := libvirtxml.DomainMemoryAllocation{}
	if b.MemoryAllocation != nil {
		want = *b.MemoryAllocation
	}
	want.Mode = cmp.Or(want.Mode, "immediate") // ondemand is the user's to say
	if threads != 0 {
		want.Threads = uint(max(threads, 0))
	}
	if b.MemoryAllocation == nil || *b.MemoryAllocation != want {
		b.MemoryAllocation = &want
		text := "<allocation mode='" + want.Mode + "'"
		if want.Threads > 0 {
			text += fmt.Sprintf(" threads='%d'", want.Threads)
		}
		put("allocation", text+"/>")
	}
	if source := source(dom); cmp.Or(source, "anonymous") != kind || source == "" && spare != nil {
		b.MemorySource = &libvirtxml.DomainMemorySource{Type: kind}
		put("source", "<source type='"+kind+"'/>")
	}
	if spare != nil {
		return refusal(dom, noCause, "take it out first (virsh edit)", "for its <access> libvirt puts memory into a file")
	}
	if changes != nil {
		e.fill("memoryBacking", changes)
	}
	found, err := backends(dom, 0)
	for _, b := range found {
		if b.page != smallPage {
			return b.refusal(dom, noCause, "take out its <pagesize> first (virsh edit)", "it names pages of its own, of %s", b.page)
		}
	}
	return err
}
