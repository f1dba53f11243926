package hostprep

import (
	"fmt"
	"strings"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Fact is one line about a host.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Facts says what the host has for guests on huge pages. What could not be
// read is said in its place.
func (h Host) Facts() []Fact {
	var facts []Fact
	add := func(name, value string, err error) {
		if err != nil {
			value = "could not tell: " + err.Error()
		}
		facts = append(facts, Fact{name, value})
	}
	state, stateErr := pool.Read(h.Root)
	var sizes []string
	for _, size := range state.Sizes() {
		sizes = append(sizes, size.String())
	}
	add("page sizes", orNone(sizes), stateErr)
	for _, p := range state.Pools {
		add(fmt.Sprintf("node %d", p.Node), fmt.Sprintf("%d of %d pages of %s are free", p.Free, p.Total, p.Size), nil)
	}
	mem, err := h.Meminfo()
	add("memory", fmt.Sprintf("%d MiB, of which %d MiB are available", mem.Total/pages.MiB, mem.Available/pages.MiB), err)
	if err == nil && stateErr == nil {
		add("headroom", fmt.Sprintf("the pools may grow by %d MiB", pool.Headroom(state, mem.Total, mem.Available, pool.Reserve(mem.Total))/pages.MiB), nil)
	}
	mounts, err := h.Mounts()
	var points []string
	for _, m := range mounts {
		points = append(points, fmt.Sprintf("%s (%s)", m.Point, m.Size))
	}
	add("hugetlbfs", orNone(points), err)
	thp, err := h.THP()
	add("THP", orNone(strings.Fields(thp.Enabled)), err)
	return facts
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
