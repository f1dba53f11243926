package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// A guest whose pages are short in its turn is planned on those that vmhuge start takes.
func TestPlanIfShort(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "")}
	other := func(c, instead hostprep.Candidate) hostprep.Candidate {
		c.Instead = &instead
		return c
	}
	ofGiB := func(n int64) hostprep.Candidate { return onPages("web1", n, pages.Size1GiB, -1) }
	on2M := func(gib int64) hostprep.Candidate { return onPages("web1", gib*512, pages.Size2MiB, -1) }
	for name, test := range map[string]struct {
		guests    []hostprep.Candidate
		fits      bool
		insteadOf []pages.Total
	}{
		"enough":           {[]hostprep.Candidate{other(ofGiB(1), on2M(1))}, true, nil},
		"short":            {[]hostprep.Candidate{other(ofGiB(12), on2M(11))}, true, ofGiB(12).Demand.Totals()},
		"on memory":        {[]hostprep.Candidate{other(onPages("web1", 6200, pages.Size2MiB, -1), onMemory("web1", 9000))}, true, onPages("web1", 6200, pages.Size2MiB, -1).Demand.Totals()},
		"short of both":    {[]hostprep.Candidate{other(ofGiB(100), on2M(100))}, false, nil},
		"in its turn":      {[]hostprep.Candidate{onPages("db1", 5000, pages.Size2MiB, -1), other(onPages("web1", 2000, pages.Size2MiB, -1), onMemory("web1", 1000))}, true, onPages("web1", 2000, pages.Size2MiB, -1).Demand.Totals()},
		"before the other": {[]hostprep.Candidate{other(onPages("web1", 2000, pages.Size2MiB, -1), onMemory("web1", 1000)), onPages("db1", 5000, pages.Size2MiB, -1)}, false, nil},
	} {
		plan, err := Make(h, test.guests, 0)
		if err != nil || plan.Fits != test.fits {
			t.Errorf("%s: fits %t, %v: %+v", name, plan.Fits, err, plan.Guests)
			continue
		}
		for _, g := range plan.Guests {
			if g.Name == "web1" {
				if diff := cmp.Diff(test.insteadOf, g.InsteadOf); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
		}
	}
}
