package capacity

import (
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

func TestOnDest(t *testing.T) {
	nodes := []host.Node{{ID: 0, Free: 8 * pages.MiB}, {ID: 1}}
	state := pool.State{Globals: []pool.Global{{Size: pages.Size2MiB, Total: 100, Free: 60}},
		Pools: []pool.Pool{{Node: 0, Size: pages.Size2MiB, Total: 50, Free: 20}, {Node: 1, Size: pages.Size2MiB, Total: 50, Free: 40}}}
	for name, row := range map[string]struct {
		guest   hostprep.Guest
		verdict hostprep.Verdict
		says    string
	}{
		"enough":           {guesttest.Takes(60), hostprep.Ready, ""},
		"one page short":   {guesttest.Takes(61), hostprep.NoMemory, "60 of 100 pages of 2 MiB are free; 8 MiB of memory is free there"},
		"bound, enough":    {guesttest.Bound(guesttest.Takes(20), "0"), hostprep.Ready, ""},
		"bound, one short": {guesttest.Bound(guesttest.Takes(21), "0"), hostprep.NoMemory, "20 of 50 pages of 2 MiB are free on node 0; 8 MiB of memory is free there"},
		"no such node":     {guesttest.Bound(guesttest.Takes(1), "2"), hostprep.BadDomain, "node 2, which <numatune> names, does not exist: the host has node 0-1"},
		"no such size":     {guesttest.Guest(guesttest.OneGiB), hostprep.BadHost, "the kernel has pages of 2 MiB"},
		"numad":            {guesttest.Guest(func(g *hostprep.Guest) { *g = guesttest.Takes(1); g.Demand.Auto = true }), hostprep.Unknown, "numad chooses the guest's nodes when it arrives"},
	} {
		findings, err := OnDest(nodes, state, row.guest.Demand)
		verdict, _, _ := hostprep.Conclude(findings)
		if err != nil || verdict != row.verdict || row.says != "" && (len(findings) != 1 || findings[0].Have != row.says) {
			t.Errorf("%s: %s, %+v, %v", name, verdict, findings, err)
		}
	}
}
