package xml

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"libvirt.org/go/libvirtxml"
)

// The children of <memoryBacking> that are ours to write.
var backing = []string{"hugepages", "source", "allocation"}

// back changes <memoryBacking> to the wanted hugetlb pages.
func (e *editor) back(want Backing) {
	if e.domain.MemoryBacking == nil {
		e.domain.MemoryBacking = &libvirtxml.DomainMemoryBacking{}
	}
	b := e.domain.MemoryBacking
	var changes []change
	put := func(name string, text func(lead string) string) {
		el := e.root.child("memoryBacking").child("memoryBacking/" + name)
		e.note(former{At: name, Text: e.text(el)})
		changes = append(changes, change{el, text})
	}
	if !e.backedBy(want) {
		b.MemoryHugePages = &libvirtxml.DomainMemoryHugepages{}
		put("hugepages", func(lead string) string {
			if want.PageSize == 0 {
				return "<hugepages/>"
			}
			return fmt.Sprintf("<hugepages>%s<page size='%d' unit='KiB'/>%s</hugepages>", e.deeper(lead), want.PageSize.KiB(), lead)
		})
		if want.PageSize != 0 {
			b.MemoryHugePages.Hugepages = []libvirtxml.DomainMemoryHugepage{{Size: uint(want.PageSize.KiB())}}
		}
	}
	if want.Source != "" && want.Source != source(&e.domain) {
		b.MemorySource = &libvirtxml.DomainMemorySource{Type: want.Source}
		put("source", verbatim("<source type='"+want.Source+"'/>"))
	}
	threads := uint(max(want.Threads, 0))
	switch {
	case want.Threads == 0 || b.MemoryAllocation == nil && threads == 0 || b.MemoryAllocation != nil && b.MemoryAllocation.Threads == threads:
	case b.MemoryAllocation == nil:
		b.MemoryAllocation = &libvirtxml.DomainMemoryAllocation{Threads: threads}
		put("allocation", verbatim(fmt.Sprintf("<allocation threads='%d'/>", threads)))
	case threads == 0 && b.MemoryAllocation.Mode == "" && e.former("allocation") != nil && e.former("allocation").Text == "": // it was ours
		b.MemoryAllocation = nil
		changes = append(changes, change{el: e.root.child("memoryBacking").child("memoryBacking/allocation")})
		e.formers = slices.DeleteFunc(e.formers, func(f former) bool { return f.At == "allocation" })
	default:
		b.MemoryAllocation.Threads = threads
		put("allocation", verbatim(e.withThreads(threads)))
	}
	if changes != nil {
		e.fill("memoryBacking", changes)
	}
}

// backedBy tells whether the wanted pages back the guest's memory already.
func (e *editor) backedBy(want Backing) bool {
	if !hasHugepages(&e.domain) {
		return false
	}
	stated := e.domain.MemoryBacking.MemoryHugePages.Hugepages
	if want.Keep && slices.ContainsFunc(stated, func(p libvirtxml.DomainMemoryHugepage) bool {
		size, _ := e.domain.pageSize(uint64(p.Size), p.Unit)
		return size > smallPage
	}) {
		return true
	}
	if want.PageSize == 0 || len(stated) == 0 {
		return want.PageSize == 0 && len(stated) == 0
	}
	found, err := backends(&e.domain, 0)
	return err == nil && !slices.ContainsFunc(found, func(b backend) bool { return !b.own && b.page != want.PageSize })
}

// withThreads returns <allocation> with that many threads; 0: none stated.
func (e *editor) withThreads(threads uint) string {
	el := e.root.child("memoryBacking").child("memoryBacking/allocation")
	text, attr := e.text(el), e.attr(el, "threads")
	number := strconv.Itoa(int(threads))
	switch {
	case attr == nil:
		return strings.Replace(text, "<allocation", "<allocation threads='"+number+"'", 1)
	case threads == 0:
		return text[:attr[0]-el.start] + text[attr[1]-el.start:]
	}
	return text[:attr[2]-el.start] + number + text[attr[3]-el.start:]
}

// restoreBacking brings back the children of <memoryBacking>.
func (e *editor) restoreBacking() {
	var changes []change
	for _, name := range backing {
		was := e.former(name)
		el := e.root.child("memoryBacking").child("memoryBacking/" + name)
		switch {
		case was == nil:
		case was.Text != "":
			changes = append(changes, change{el, verbatim(was.Text)})
		case el != nil:
			changes = append(changes, change{el: el})
		}
	}
	if changes != nil {
		e.fill("memoryBacking", changes)
	}
}

// shared says whether QEMU maps any of the guest's memory shared: a memfd is where no
// access is named.
func shared(dom *domain) bool {
	return slices.ContainsFunc(accesses(dom), func(a string) bool { return a == "shared" || a == "" && source(dom) == "memfd" })
}

// accesses are the modes of the guest's RAM, one for each cell; "": none is named.
func accesses(dom *domain) []string {
	all := ""
	if b := dom.MemoryBacking; b != nil && b.MemoryAccess != nil {
		all = b.MemoryAccess.Mode
	}
	if len(dom.Cells) == 0 {
		return []string{all}
	}
	var modes []string
	for _, c := range dom.Cells {
		modes = append(modes, cmp.Or(c.MemAccess, all))
	}
	return modes
}

// privateCell says whether a cell is not shared by its own memAccess.
func privateCell(dom *domain) bool {
	return slices.ContainsFunc(dom.Cells, func(c libvirtxml.DomainCell) bool { return c.MemAccess != "shared" })
}

// sharedCells are the ids of the cells whose memory QEMU maps shared.
func sharedCells(dom *domain) (ids []int) {
	for i, access := range accesses(dom) {
		if len(dom.Cells) > 0 && (access == "shared" || access == "" && source(dom) == "memfd") {
			ids = append(ids, cellID(dom.Cells[i], i))
		}
	}
	slices.Sort(ids)
	return ids
}

// sharedByCell says whether that cell's memAccess shares its memory.
func (dom *domain) sharedByCell(id int) bool {
	for i, c := range dom.Cells {
		if cellID(c, i) == id {
			return c.MemAccess == "shared"
		}
	}
	return false
}

func sharedCell(dom *domain) bool {
	return slices.ContainsFunc(dom.Cells, func(c libvirtxml.DomainCell) bool { return c.MemAccess == "shared" })
}
