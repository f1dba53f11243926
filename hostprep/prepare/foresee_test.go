package prepare

import (
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// A dry run says what each node gets, and refuses what a node or the host can't give.
func TestForesee(t *testing.T) {
	const pools = "-- pools --\nall 2048 2048 1200 0 0 0\n0 2048 1024 900 0\n1 2048 1024 300 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n1 1048576 0 0 0\n"
	const full = "-- sys/devices/system/node/node1/meminfo --\nNode 1 MemTotal: 8192000 kB\nNode 1 MemFree: 100000 kB\nNode 1 Active(file): 50000 kB\nNode 1 Inactive(file): 50000 kB\n"
	const commits = "-- proc/sys/vm/overcommit_memory --\n2\n-- proc/meminfo --\nMemTotal: 16384000 kB\nMemFree: 11000000 kB\nMemAvailable: 12288000 kB\nHugepagesize: 2048 kB\nCommitLimit: 6094848 kB\nCommitted_AS: 5900000 kB\n"
	of := func(n int64, nodes ...int) Options {
		return Options{Pages: []pool.Need{{Nodes: nodes, Size: pages.Size2MiB, Pages: n}}}
	}
	persist := of(3000)
	persist.Persist = true
	for name, test := range map[string]struct {
		edits string
		p     Options
		want  string
	}{
		"even":                    {"", of(3000), "node0 1500, node1 1500"},
		"a node is full":          {full, of(3000), "node0 1976"},
		"on the full node":        {full, of(1100, 1), "blocker: 76 more pages of 2 MiB are needed on node 1: 76 are missing"},
		"a node that is there":    {full, of(1100, 0), "node0 1100"},
		"more than both can give": {full, of(6000), "blocker: 3952 more pages of 2 MiB are needed: "},
		"more than the kernel commits": {commits, of(3000), "blocker: 952 more pages of 2 MiB are needed: 952 are missing, as the host can spare 0: " +
			pool.ByCommit},
		"the same for good":         {commits, persist, "blocker: vm.overcommit_memory is 2 at the next boot, and the kernel then commits 7.8 GiB less 50 % of what the pools have, and 5.6 GiB is committed now"},
		"after the next boot alone": {commits + "-- proc/sys/vm/overcommit_memory --\n0\n-- etc/sysctl.d/10-a.conf --\nvm.overcommit_memory = 2\n", persist, "blocker: vm.overcommit_memory is 2 at the next boot"},
		"no longer after it":        {commits + "-- etc/sysctl.d/10-a.conf --\nvm.overcommit_memory = 0\n", persist, "warning: reboot: by its settings for the next boot the kernel may then have them"},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "two-nodes", systemdHost+pools+test.edits)}
			would, err := Would(h, test.p)
			hosttest.Must(t, err)
			var got []string
			for _, f := range would.Findings {
				if f.Check != "pool" && f.Check != "host" {
					continue
				}
				for _, c := range f.Changes {
					_, node, _ := strings.Cut(c.Path, "/sys/devices/system/node/")
					node, _, _ = strings.Cut(node, "/")
					got = append(got, node+" "+c.To)
				}
				if f.Severity == hostprep.Warning {
					got = append(got, "warning: "+f.Do)
				}
				if f.Severity == hostprep.Blocker && !f.Fixable {
					got = append(got, "blocker: "+f.Have)
				}
			}
			if text := strings.Join(got, ", "); !strings.HasPrefix(text, test.want) {
				t.Errorf("got %q, want %q", text, test.want)
			}
		})
	}
}

// What is done is what was foreseen.
func TestPagesOnAllNodes(t *testing.T) {
	const pools = "-- pools --\nall 2048 2048 1200 0 0 0\n0 2048 1024 900 0\n1 2048 1024 300 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n1 1048576 0 0 0\n"
	h := host.Host{Root: hosttest.Unpack(t, "two-nodes", systemdHost+pools)}
	_, err := Do(t.Context(), h, Options{Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 3000}}}, pool.Effort{})
	hosttest.Must(t, err)
	state, err := pool.Read(h.Root)
	hosttest.Must(t, err)
	for _, node := range []int{0, 1} {
		if p, _ := state.Pool(node, pages.Size2MiB); p.Total != 1500 {
			t.Errorf("node %d has %d pages", node, p.Total)
		}
	}
}
