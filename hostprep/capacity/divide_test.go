package capacity

import (
	"fmt"
	"testing"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Pages that may be on any node even the pools out, as far as the nodes have room.
func TestDivide(t *testing.T) {
	on := func(counts ...int64) (s pool.State) {
		for node, n := range counts {
			s.Pools = append(s.Pools, pool.Pool{Node: node, Size: pages.Size2MiB, Total: n})
		}
		return s
	}
	mib := func(rooms ...int64) Rooms {
		r := Rooms{}
		for node, n := range rooms {
			r[node] = n * pages.MiB
		}
		return r
	}
	for name, test := range map[string]struct {
		state pool.State
		rooms Rooms
		nodes []int
		pages int64
		even  bool
		want  string
	}{
		"one node":                     {on(5), nil, nil, 8, true, "[{[] 2 MiB 8}] <nil>"},
		"even pools":                   {on(10, 10), mib(1000, 1000), nil, 8, true, "[{[0] 2 MiB 4} {[1] 2 MiB 4}] <nil>"},
		"an odd page":                  {on(10, 10), mib(1000, 1000), nil, 9, true, "[{[0] 2 MiB 5} {[1] 2 MiB 4}] <nil>"},
		"uneven pools":                 {on(10, 4), mib(1000, 1000), nil, 8, true, "[{[0] 2 MiB 1} {[1] 2 MiB 7}] <nil>"},
		"three":                        {on(10, 4, 4), mib(1000, 1000, 1000), nil, 8, true, "[{[1] 2 MiB 4} {[2] 2 MiB 4}] <nil>"},
		"a node without much room":     {on(0, 0), mib(1000, 6), nil, 20, true, "[{[0] 2 MiB 17} {[1] 2 MiB 3}] <nil>"},
		"too many":                     {on(0, 0), mib(20, 6), nil, 20, true, "[{[0] 2 MiB 10} {[1] 2 MiB 3}] 20 more pages of 2 MiB are needed: 7 are missing, as the kernel can allocate 13"},
		"on one of them":               {on(0, 0), mib(20, 6), []int{1}, 3, true, "[{[1] 2 MiB 3}] <nil>"},
		"too many on one of them":      {on(0, 0), mib(20, 6), []int{1}, 4, true, "[{[1] 2 MiB 3}] 4 more pages of 2 MiB are needed on node 1: 1 is missing, as the kernel can allocate 3"},
		"for a start":                  {on(0, 0), mib(20, 30), nil, 12, false, "[{[1] 2 MiB 12}] <nil>"},
		"for a start, on both of them": {on(0, 0), mib(20, 30), nil, 20, false, "[{[1] 2 MiB 15} {[0] 2 MiB 5}] <nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			needs, short := test.rooms.Divide(test.state, pool.Need{Nodes: test.nodes, Size: pages.Size2MiB, Pages: test.pages}, test.even)
			got := fmt.Sprint(needs, " <nil>")
			if short != nil {
				got = fmt.Sprint(needs, " ", short)
			}
			if got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}
