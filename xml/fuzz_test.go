package xml

import (
	"bytes"
	"testing"

	"vmhuge/internal/pages"
)

func seed(f *testing.F) {
	for _, doc := range odd {
		f.Add([]byte(doc), byte(0))
		f.Add([]byte(doc), byte(0x7B))
		for _, want := range backings {
			if out, err := Rewrite([]byte(doc), want); err == nil {
				f.Add(out, byte(1))
			}
		}
	}
	for _, doc := range unreadable {
		f.Add([]byte(doc), byte(2))
	}
}

// wish makes of a byte something to want.
func wish(b byte) Backing {
	return Backing{
		PageSize: []pages.Size{pages.Size2MiB, pages.Size1GiB, 0, 1 << 16}[b&3],
		Source:   []string{"", "file", "memfd", ""}[b>>2&3],
		Threads:  []int{0, 3, -1, 0}[b>>4&3],
		Keep:     b>>6&1 == 1,
		Round:    b>>7&1 == 0,
		THP:      b>>2&3 == 3,
	}
}

func FuzzRewrite(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, doc []byte, b byte) {
		if d, err := parse(doc); err == nil && d.root.child("metadata").child(mark) != nil {
			return // FuzzRevert's
		}
		holds(t, doc, wish(b))
	})
}

func FuzzRevert(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, doc []byte, b byte) {
		out, err := Revert(doc, true)
		if err != nil {
			return
		}
		d, err := parse(out)
		if err != nil {
			t.Fatalf("reverting made it unreadable: %v\n%q", err, out)
		}
		if hasHugepages(&d.domain) && !bytes.Contains(doc, []byte(namespace)) {
			t.Errorf("<hugepages> is still there: %q", out)
		}
		holds(t, out, wish(b))
	})
}

func FuzzDemand(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, doc []byte, b byte) {
		demand, err := Demand(doc, wish(b).PageSize)
		if err != nil {
			if demand.Items != nil {
				t.Error("an error came with a demand")
			}
			return
		}
		if (demand.Backing == pages.Hugetlb) != (len(demand.Items) > 0) {
			t.Errorf("backing %s with %d items", demand.Backing, len(demand.Items))
		}
		for _, item := range demand.Items {
			if item.MemoryKiB <= 0 || item.Pages < -1 || item.LaterPages < 0 || item.PageSize == smallPage {
				t.Errorf("no sense in %+v", item)
			}
			if item.Pages > 0 && item.PageSize.KiB()*item.Pages < item.MemoryKiB {
				t.Errorf("%d pages of %s do not hold %d KiB", item.Pages, item.PageSize, item.MemoryKiB)
			}
		}
		// Reverting an unmarked document leaves nothing that asks for pages but devices.
		if _, err := Fits(doc, pages.Size2MiB); err != nil {
			t.Errorf("there is a demand, but Fits says: %v", err)
		}
	})
}
