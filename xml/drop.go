package xml

import "vmhuge/internal/pages"

// Drop takes the guest off huge pages for one start, and all else stays. It
// leaves no note: the definition that counts is another one.
func Drop(doc []byte) ([]byte, error) {
	d, err := parse(doc)
	if err != nil {
		return nil, err
	}
	e := &editor{document: d}
	if el := d.root.child("memoryBacking").child("memoryBacking/hugepages"); el != nil {
		e.fill("memoryBacking", []change{{el: el}})
	}
	// A memory device may name a page of its own.
	for _, el := range d.root.all("devices/memory/source/pagesize") {
		e.replace(e.before(el.start), el.end, "")
	}
	if len(e.edits) == 0 {
		return doc, nil
	}
	out := e.bytes()
	if left, err := Demand(out, 0); err != nil || left.Backing == pages.Hugetlb {
		return nil, refusal(&d.domain, noCause, "", "it can't be taken off huge pages: %v", err)
	}
	return out, nil
}
