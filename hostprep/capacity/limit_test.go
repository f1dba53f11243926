package capacity

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Two nodes, and what libvirt 9.0 and QEMU 7.2 need of them.
func TestLimits(t *testing.T) {
	bound := func(nodes string, n int64) pages.Item {
		return pages.Item{PageSize: pages.Size2MiB, Pages: n, HostNodes: nodes, Mode: pages.Strict}
	}
	free := func(n int64) pages.Item { return pages.Item{PageSize: pages.Size2MiB, Pages: n} }
	pools := func(free0, free1, reserved, overcommit int64) pool.State {
		return pool.State{
			Globals: []pool.Global{{Size: pages.Size2MiB, Total: free0 + free1, Free: free0 + free1, Reserved: reserved, Overcommit: overcommit}},
			Pools: []pool.Pool{
				{Node: 0, Size: pages.Size2MiB, Total: free0, Free: free0},
				{Node: 1, Size: pages.Size2MiB, Total: free1, Free: free1}},
		}
	}
	for _, test := range []struct {
		name   string
		state  pool.State
		cpuset string
		items  []pages.Item
		// What others will yet take, and on which nodes.
		pending int64
		on      []int
		program bool   // they are reserved for a program
		want    string // the severities
		needs   string
	}{
		{name: "enough", state: pools(20, 64, 0, 0), items: []pages.Item{free(84)}},
		{name: "one too many", state: pools(20, 64, 0, 0), items: []pages.Item{free(85)}, want: "blocker", needs: "1 on any"},
		{name: "backends add up", state: pools(20, 64, 0, 0), items: []pages.Item{free(42), free(43)}, want: "blocker", needs: "1 on any"},
		{name: "cpuset: the node is short", state: pools(20, 64, 0, 0), cpuset: "0", items: []pages.Item{free(32)}, want: "blocker", needs: "12 on 0"},
		{name: "cpuset: overcommit does not help", state: pools(20, 64, 0, 40), cpuset: "0", items: []pages.Item{free(32)}, want: "blocker", needs: "12 on 0"},
		{name: "cpuset: unless the pools are short too", state: pools(20, 4, 0, 40), cpuset: "0", items: []pages.Item{free(32)}, want: "note note", needs: "12 on 0"},
		{name: "cpuset: others' reservations are not counted", state: pools(32, 64, 64, 0), cpuset: "0", items: []pages.Item{free(32)}},
		{name: "cpuset of both nodes", state: pools(20, 64, 0, 0), cpuset: "0-1", items: []pages.Item{free(84)}},
		{name: "strict for all: bound and in the cpuset", state: pools(20, 64, 0, 40), cpuset: "0", items: []pages.Item{bound("0", 32)}, want: "blocker", needs: "12 on 0"},
		{name: "bound: the node is short", state: pools(20, 64, 0, 0), items: []pages.Item{bound("0", 32)}, want: "blocker", needs: "12 on 0"},
		{name: "bound: overcommit helps", state: pools(20, 64, 0, 40), items: []pages.Item{bound("0", 32)}, want: "note", needs: "12 on 0"},
		{name: "bound, one on each node", state: pools(20, 64, 0, 0), items: []pages.Item{bound("0", 20), bound("1", 64)}},
		{name: "bound, both short", state: pools(20, 64, 0, 0), items: []pages.Item{bound("0", 21), bound("1", 66)}, want: "blocker blocker blocker", needs: "1 on 0, 2 on 1"},
		{name: "bound to either node", state: pools(20, 64, 0, 0), items: []pages.Item{bound("0-1", 84)}},
		{name: "preferred falls back", state: pools(20, 64, 0, 0), items: []pages.Item{{PageSize: pages.Size2MiB, Pages: 32, HostNodes: "0", Mode: pages.Preferred}}},
		{name: "unbound, then bound: a coin toss", state: pools(32, 32, 0, 0), items: []pages.Item{free(32), bound("1", 32)}, want: "warning", needs: "32 on 1"},
		{name: "bound, then unbound: sure", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32), free(32)}},
		{name: "unbound, then bound: sure", state: pools(32, 64, 0, 0), items: []pages.Item{free(32), bound("1", 32)}},
		{name: "unbound does not fit elsewhere, then bound", state: pools(32, 32, 0, 0), items: []pages.Item{free(40), bound("1", 24)}, want: "warning", needs: "32 on 1"},
		{name: "unbound leaves too little for bound", state: pools(32, 32, 0, 10), items: []pages.Item{free(40), bound("1", 35)}, want: "blocker blocker", needs: "43 on 1"},
		{name: "promised to others, who may lie elsewhere", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 32, want: "warning", needs: "32 on 1"},
		{name: "promised to others, who may not", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 33, want: "blocker blocker", needs: "33 on 1"},
		{name: "promised to others on another node", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 32, on: []int{0}},
		{name: "promised to others on this node", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 1, on: []int{1}, want: "blocker", needs: "1 on 1"},
		{name: "promised to others on either", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 31)}, pending: 2, on: []int{0, 1}, want: "warning", needs: "1 on 1"},
		{name: "promised to others, and no node matters", state: pools(32, 32, 0, 0), items: []pages.Item{free(33)}, pending: 32, on: []int{1}, want: "blocker", needs: "1 on any"},
		{name: "reserved for a program that may lie elsewhere", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 32, program: true},
		{name: "reserved for a program that may not", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 33, program: true, want: "blocker blocker", needs: "1 on 1"},
		{name: "reserved on another node", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 32, on: []int{0}, program: true},
		{name: "reserved on this node", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 1, on: []int{1}, program: true, want: "blocker", needs: "1 on 1"},
		{name: "reserved, and no node matters", state: pools(32, 32, 0, 0), items: []pages.Item{free(33)}, pending: 32, program: true, want: "blocker", needs: "1 on any"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := hostprep.Guest{Demand: pages.Demand{Items: test.items, CPUSetNodes: test.cpuset}, Allowance: hostprep.Allowance{Pending: guesttest.Pending(test.pending, test.on...)}}
			if test.program {
				g.Pending[0].For = "ovs"
			}
			var got []string
			for _, l := range Limits(test.state, g) {
				if f := l.Judge(); f.Severity != "" {
					got = append(got, string(f.Severity))
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("findings are %v, want %s", got, test.want)
			}
			var needs []string
			state := test.state
			for _, n := range Shortfall(state, g) {
				where := "any"
				if n.Nodes != nil {
					where = pages.FormatNodes(n.Nodes)
				}
				needs = append(needs, fmt.Sprintf("%d on %s", n.Pages, where))
				// On the first node that will do.
				i := 0
				if len(n.Nodes) > 0 {
					i = n.Nodes[0]
				}
				state.Globals[0].Free += n.Pages
				state.Pools[i].Free += n.Pages
			}
			if strings.Join(needs, ", ") != test.needs {
				t.Errorf("shortfall is %v, want %s", needs, test.needs)
			}
			if again := Shortfall(state, g); again != nil {
				t.Errorf("with these pages it still lacks %v", again)
			}
			for _, l := range Limits(state, g) {
				if f := l.Judge(); f.Severity != "" {
					t.Errorf("with these pages: %+v", f)
				}
			}
		})
	}
}

// A message names the programs for which pages are reserved, and says if those are what
// is missing.
func TestHeldFor(t *testing.T) {
	state := pool.State{Globals: []pool.Global{{Size: pages.Size2MiB, Total: 40, Free: 40}}}
	for n, want := range map[int64]string{20: "", 21: "ovs and spdk", 40: "ovs and spdk", 41: ""} {
		g := hostprep.Guest{Demand: pages.Demand{Items: []pages.Item{{PageSize: pages.Size2MiB, Pages: n}}}}
		for program, held := range map[string]int64{"ovs": 15, "spdk": 5} {
			p := guesttest.Pending(held)[0]
			p.For = program
			g.Pending = append(g.Pending, p)
		}
		slices.SortFunc(g.Pending, func(a, b pool.Pending) int { return strings.Compare(a.For, b.For) })
		l := Limits(state, g)[0]
		f := l.Judge()
		if got := l.HeldFor(); f.Severity != "" && got != want || !strings.HasSuffix(f.Have, ", 20 of them reserved for ovs and spdk") {
			t.Errorf("%d pages: %q, and %+v", n, got, f)
		}
	}
	kept := guesttest.Pending(20)[0]
	kept.For, kept.Kept = "web1", true
	g := hostprep.Guest{Demand: pages.Demand{Items: []pages.Item{{PageSize: pages.Size2MiB, Pages: 21}}}, Allowance: hostprep.Allowance{Pending: []pool.Pending{kept}}}
	if l := Limits(state, g)[0]; l.HeldFor() != "the guest web1" || !strings.HasSuffix(l.Judge().Have, ", 20 of them reserved for the guest web1") {
		t.Errorf("kept for a guest: %q, %+v", l.HeldFor(), l.Judge())
	}
}
