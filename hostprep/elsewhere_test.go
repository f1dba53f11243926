package hostprep

import (
	"testing"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

func TestElsewhere(t *testing.T) {
	nodes := []Node{{ID: 0, Free: 8 * pages.MiB}, {ID: 1}}
	state := pool.State{Globals: []pool.Global{{Size: pages.Size2MiB, Total: 100, Free: 60}},
		Pools: []pool.Pool{{Node: 0, Size: pages.Size2MiB, Total: 50, Free: 20}, {Node: 1, Size: pages.Size2MiB, Total: 50, Free: 40}}}
	for name, row := range map[string]struct {
		guest   Guest
		verdict Verdict
		says    string
	}{
		"enough":           {takes(60), Ready, ""},
		"one page short":   {takes(61), NoMemory, "60 of 100 pages of 2 MiB are free; 8 MiB of memory are free there"},
		"bound, enough":    {bound(takes(20), "0"), Ready, ""},
		"bound, one short": {bound(takes(21), "0"), NoMemory, "20 of 50 pages of 2 MiB are free on node 0; 8 MiB of memory are free there"},
		"no such node":     {bound(takes(1), "2"), BadDomain, "the host has node 0-1"},
		"no such size":     {guest(oneGiB), BadHost, "the kernel has pages of 2 MiB"},
		"numad":            {guest(func(g *Guest) { *g = takes(1); g.Demand.Auto = true }), Unknown, "numad chooses the guest's nodes when it comes"},
	} {
		findings, err := Elsewhere(nodes, state, row.guest.Demand)
		verdict, _, _ := Conclude(findings)
		if err != nil || verdict != row.verdict || row.says != "" && (len(findings) != 1 || findings[0].Have != row.says) {
			t.Errorf("%s: %s, %+v, %v", name, verdict, findings, err)
		}
	}
}

func bound(g Guest, nodes string) Guest {
	g.Demand.Items[0].HostNodes, g.Demand.Items[0].Mode = nodes, pages.Strict
	return g
}
