package xml

import (
	"bytes"
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
// Memory that somebody has to share stays shared: in a memfd, where all of it is; else
// libvirt puts the cells that are shared into files, and the others are anonymous.
func (e *editor) backTHP(threads int) error {
	dom := &e.domain
	if hasHugepages(dom) {
		why := "reserved pages are never transparent"
		if huge, err := readHugepages(dom, 0); err == nil && !slices.ContainsFunc(huge, func(h hugepage) bool { return h.size != smallPage }) {
			why = "libvirt takes no anonymous memory beside it, though its pages are ordinary ones"
		}
		return refusal(dom, noCause, "take it out first (virsh edit)", "its <hugepages> was there before vmhuge, and %s", why)
	}
	if dom.MemoryBacking == nil {
		dom.MemoryBacking = &libvirtxml.DomainMemoryBacking{}
	}
	b := dom.MemoryBacking
	var need pages.Traits
	e.devices(&need)
	kind, spare := "anonymous", (*element)(nil)
	switch {
	case need.SharedBy > 0 || sharedCell(dom) && (source(dom) == "memfd" || !privateCell(dom)):
		kind = "memfd"
	default:
		// For <access> and memAccess, whatever they say, libvirt puts memory into a file.
		e.dropPrivate()
		if b.MemoryAccess != nil {
			spare, b.MemoryAccess = e.root.child("memoryBacking").child("memoryBacking/access"), nil
		}
	}
	var changes []change
	// put takes the place of the child of that name, else that of <access>: so
	// that Revert finds the place again.
	put := func(name, text string) {
		el := e.root.child("memoryBacking").child("memoryBacking/" + name)
		if el == nil {
			el, spare = spare, nil
		}
		e.note(former{At: name, Text: e.text(el)})
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
		if changes = e.absorb(changes, spare); changes == nil {
			return refusal(dom, noCause, "take it out first (virsh edit)", "for its <access> libvirt puts memory into a file")
		}
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

// mayHave refuses a share of the RAM on transparent huge pages that the document's memory can't
// reach, as some of it is shared.
func (p policy) mayHave(doc []byte) error {
	d, err := parseOnce(doc)
	if err != nil {
		return err
	}
	demand, err := Demand(doc, 0)
	if err != nil || !demand.Shared {
		return err
	}
	traits, err := Traits(doc)
	if err != nil {
		return err
	}
	most := 0.0
	if stay := sharedCells(&d.domain); len(stay) > 0 && len(stay) < len(d.domain.Cells) {
		most = 100 - 100*float64(traits.SharedKiB)/float64(traits.MemoryKiB)
	}
	if p.atLeast <= most {
		return nil
	}
	return refusal(&d.domain, noCause, "take reserved pages: vmhuge enable --size "+pages.SizeWord(d.domain.usual(nil))+" --source memfd; or --at-least 0",
		"at most %.3g %% of its memory gets transparent huge pages, as the rest is shared: no start would have %.4g %%", most, p.atLeast)
}

// absorb takes out <access> together with the <source> or <allocation> beside
// it: the note of that one then has both, and Revert finds the place again. It
// returns nil where neither is beside it.
func (e *editor) absorb(changes []change, access *element) []change {
	parent := e.root.child("memoryBacking")
	for _, name := range []string{"source", "allocation"} {
		el := parent.child("memoryBacking/" + name)
		if el == nil {
			continue
		}
		both := *el
		both.start, both.end = min(el.start, access.start), max(el.end, access.end)
		between := e.raw[min(el.end, access.end):max(el.start, access.start)]
		if len(bytes.Trim(between, blank)) > 0 {
			continue
		}
		for i := range changes {
			if was := e.former(name); changes[i].el == el && was.Text == e.text(el) {
				was.Text, changes[i].el = e.text(&both), &both
				return changes
			}
		}
		if e.former(name) == nil {
			e.note(former{At: name, Text: e.text(&both)})
			return append(changes, change{&both, verbatim(e.text(el))})
		}
	}
	return nil
}

// dropPrivate takes the attribute out of the cells that it does not make shared.
func (e *editor) dropPrivate() {
	for i, el := range e.root.all("cpu/numa/cell") {
		at, before := e.attrAfter(el, "memAccess")
		if c := &e.domain.Cells[i]; at != nil && c.MemAccess != "" && c.MemAccess != "shared" {
			e.note(former{At: memAccess(*c, i), Behind: before, Text: string(e.raw[at[0]:at[1]])})
			e.replace(at[0], at[1], "")
			c.MemAccess = ""
		}
	}
}

// restoreMemAccess brings the attribute back.
func (e *editor) restoreMemAccess() {
	for i, el := range e.root.all("cpu/numa/cell") {
		was := e.former(memAccess(e.domain.Cells[i], i))
		if was == nil {
			continue
		}
		at := el.start + len("<cell")
		if before := e.attr(el, was.Behind); before != nil {
			at = before[1]
		}
		e.replace(at, at, was.Text)
	}
}

// memAccess is the place of the attribute of a cell.
func memAccess(c libvirtxml.DomainCell, place int) string {
	return fmt.Sprintf("memAccess/%d", cellID(c, place))
}
