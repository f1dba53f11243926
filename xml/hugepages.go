package xml

import (
	"math/big"

	"vmhuge/internal/pages"
)

// smallPage stands for the kernel's plain pages, of whatever size: a <page> of
// that size makes nothing huge, to libvirt too.
const smallPage = pages.Size(4 * pages.KiB)

// pageSize reads the size of a page that the document states.
func (dom *domain) pageSize(value uint64, unit string) (pages.Size, error) {
	n, err := kib(value, unit)
	size := pages.SizeOfKiB(n)
	if err == nil && pages.Plain(dom.hostArch(), size) {
		size = smallPage
	}
	return size, err
}

// A hugepage is a <page> of <hugepages>; the bare <hugepages/> is one too.
type hugepage struct {
	size  pages.Size
	nodes *big.Int // nil: whatever no other page names
}

// readHugepages reads <hugepages> with the refusals of libvirt.
func readHugepages(dom *domain, defaultSize pages.Size) ([]hugepage, error) {
	if !hasHugepages(dom) {
		return nil, nil
	}
	b := dom.MemoryBacking
	if source(dom) == "anonymous" {
		return nil, refusal(dom, hugepagesSource, "choose --source file or --source memfd",
			"its <source type='anonymous'/> does not go with huge pages")
	}
	if b.MemoryAllocation != nil && b.MemoryAllocation.Mode == "ondemand" {
		return nil, refusal(dom, hugepagesSource, "make it immediate with virsh edit, or take it out",
			"its <allocation mode='ondemand'/> does not go with huge pages, which are always allocated at start")
	}
	if len(b.MemoryHugePages.Hugepages) == 0 {
		return []hugepage{{size: defaultSize}}, nil
	}
	var huge []hugepage
	for _, p := range b.MemoryHugePages.Hugepages {
		size, err := dom.pageSize(uint64(p.Size), p.Unit)
		if err != nil {
			return nil, err
		}
		if size == 0 {
			return nil, refusal(dom, hugepagesAmbiguous, "", "it has a <page> of size 0")
		}
		h := hugepage{size: size}
		if p.Nodeset != "" {
			if h.nodes, err = parseNodeset(p.Nodeset); err != nil {
				return nil, err
			}
			last := h.nodes.BitLen() - 1
			if len(dom.Cells) == 0 && last == 0 {
				h.nodes = nil // all there is
			} else if last >= len(dom.Cells) {
				return nil, refusal(dom, hugepagesNode, "", "it has pages for cell %d, which the guest does not have", last)
			}
		}
		for _, other := range huge {
			switch {
			case h.nodes == nil && other.nodes == nil:
				return nil, refusal(dom, hugepagesAmbiguous, "take one out, or give it a nodeset",
					"it has two <page> for the same memory: %s and %s", other.size, h.size)
			case h.nodes != nil && other.nodes != nil && new(big.Int).And(h.nodes, other.nodes).Sign() != 0:
				return nil, refusal(dom, hugepagesAmbiguous, "let each cell stand in one nodeset",
					"the nodesets of its pages of %s and %s intersect", other.size, h.size)
			}
		}
		huge = append(huge, h)
	}
	return huge, nil
}

// pageOf returns the page size for the memory of a cell; 4 KiB: plain pages.
func pageOf(huge []hugepage, cell int) pages.Size {
	size := smallPage
	for _, h := range huge {
		if h.nodes == nil {
			size = h.size
		} else if cell >= 0 && h.nodes.Bit(cell) == 1 {
			return h.size
		}
	}
	return size
}

func hasHugepages(dom *domain) bool {
	return dom.MemoryBacking != nil && dom.MemoryBacking.MemoryHugePages != nil
}

// source returns the type of <memoryBacking><source>; "": none is stated.
func source(dom *domain) string {
	if dom.MemoryBacking == nil || dom.MemoryBacking.MemorySource == nil {
		return ""
	}
	return dom.MemoryBacking.MemorySource.Type
}
