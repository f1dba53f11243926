package plan

import (
	"encoding/json"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// With vm.overcommit_memory=2 the kernel maps no more of a guest's private memory than it still
// commits, whatever is available; the pools lower that as they grow.
func TestPlanByCommitLimit(t *testing.T) {
	const left2GiB = "-- proc/sys/vm/overcommit_memory --\n2\n-- proc/sys/vm/overcommit_ratio --\n50\n-- proc/meminfo --\nMemTotal: 16384000 kB\nMemFree: 12288000 kB\nMemAvailable: 12288000 kB\n" +
		"Hugepagesize: 2048 kB\nCommitLimit: 7143424 kB\nCommitted_AS: 5046272 kB\n"
	private := func(name string, mib int64) hostprep.Candidate {
		c := onMemory(name, mib)
		c.Demand.Backends = []pages.Backend{{Kind: pages.RAM, MemoryKiB: mib << 10}}
		return c
	}
	shared := private("shared", 4096)
	shared.Demand.Backends[0].Uncommitted = true
	for name, test := range map[string]struct {
		guests []hostprep.Candidate
		fail   string
		lacks  int64
	}{
		"as much as is left":         {[]hostprep.Candidate{private("a", 2048)}, "", 0},
		"a MiB more":                 {[]hostprep.Candidate{private("a", 2049)}, "a", 1 << 10},
		"one after another":          {[]hostprep.Candidate{private("a", 1024), private("b", 1025)}, "b", 1 << 10},
		"no private memory":          {[]hostprep.Candidate{shared}, "", 0},
		"beside pools that grow":     {[]hostprep.Candidate{onPages("a", 1200+512, pages.Size2MiB, -1), private("b", 1536)}, "", 0},
		"beside pools that grow, 1M": {[]hostprep.Candidate{onPages("a", 1200+512, pages.Size2MiB, -1), private("b", 1537)}, "b", 1 << 10},
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", left2GiB)}
		plan, err := Make(h, test.guests, 0)
		if err != nil || plan.FirstFailure != test.fail {
			t.Errorf("%s: %q fails, %v: %+v", name, plan.FirstFailure, err, plan.Guests)
			continue
		}
		if test.lacks > 0 && (len(plan.Lacks) != 1 || plan.Lacks[0] != Lack{-1, test.lacks}) {
			t.Errorf("%s: lacks %+v", name, plan.Lacks)
		}
		read, err := ReadHost(h, 0)
		hosttest.Must(t, err)
		text, err := json.Marshal(read)
		hosttest.Must(t, err)
		var recorded Host
		hosttest.Must(t, json.Unmarshal(text, &recorded))
		if placed := Place([]Site{{Name: "host1", Host: recorded, Grows: true}}, test.guests, First); placed.Fits != (test.fail == "") {
			t.Errorf("%s: recorded: %+v", name, placed.Guests)
		}
	}
	plan, err := Make(host.Host{Root: hosttest.Unpack(t, "one-node", left2GiB)}, []hostprep.Candidate{private("a", 4096)}, 0)
	const why = "4 GiB of memory outside the pools is needed, and vm.overcommit_memory is 2: 2 GiB of the 6.8 GiB that the kernel commits are left"
	if err != nil || plan.Guests[0].Why != why {
		t.Errorf("%q, %v", plan.Guests[0].Why, err)
	}
}
