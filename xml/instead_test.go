package xml

import (
	"testing"

	"vmhuge/internal/pages"
)

func TestInstead(t *testing.T) {
	enable := func(want Backing) func([]byte) []byte {
		return func(doc []byte) []byte {
			out, err := Rewrite(doc, want)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	const gib = "<memory unit='GiB'>1</memory>"
	plain := guest(gib)
	for name, test := range map[string]struct {
		doc     []byte
		want    Backing
		backing pages.Backing
		size    pages.Size
	}{
		"own, transparent":    {guest(gib, backed(bare)), Backing{THP: true}, pages.THP, 0},
		"enabled transparent": {enable(Backing{PageSize: pages.Size2MiB, Source: "memfd"})(plain), Backing{THP: true}, pages.THP, 0},
		"smaller":             {guest(gib, backed(page1G)), Backing{PageSize: pages.Size2MiB}, pages.Hugetlb, pages.Size2MiB},
		"enabled smaller":     {enable(Backing{PageSize: pages.Size1GiB})(plain), Backing{PageSize: pages.Size2MiB}, pages.Hugetlb, pages.Size2MiB},
	} {
		out, err := Instead(test.doc, test.want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		demand, err := Demand(out, 0)
		if err != nil || demand.Backing != test.backing {
			t.Errorf("%s: %s, %v\n%s", name, demand.Backing, err, out)
		}
		if totals := demand.Totals(); test.size != 0 && (len(totals) != 1 || totals[0].PageSize != test.size) {
			t.Errorf("%s: %v", name, totals)
		}
	}
}
