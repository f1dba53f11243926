package prepare

import (
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// An area for pages on demand: what is refused before anything is changed, and what is
// planned.
func TestOnDemand(t *testing.T) {
	const cma = "-- proc/meminfo --\nMemTotal: 16384000 kB\nMemAvailable: 12288000 kB\nCmaTotal: 0 kB\nHugepagesize: 2048 kB\n"
	for _, row := range []struct {
		name, edits string
		areas       []Area
		possible    bool
		want        string // in the findings
	}{
		{"a kernel without CMA", "", []Area{{Node: -1, GiB: 8}}, false, "built without CMA"},
		{"a node that is not there", cma, []Area{{Node: 4, GiB: 8}}, false, "the host has node 0"},
		{"more than the host may give", cma, []Area{{Node: -1, GiB: 15}}, false, "of which the host keeps"},
		{"possible", cma, []Area{{Node: -1, GiB: 8}}, true, "after a reboot the host has no huge pages, needed: 8 GiB for pages of 1 GiB on demand"},
		{"none any more", cma + "-- etc/vmhuge/boot.json --\n" + `{"version":1,"pages":[],"on_demand":[{"node":-1,"gib":8}]}` + "\n", []Area{}, true, "after a reboot the host has 8 GiB for pages of 1 GiB on demand, needed: no huge pages"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "one-node", row.edits)}
			findings, possible := Plan(h, Options{Persist: true, OnDemand: row.areas})
			var text []string
			for _, f := range findings {
				text = append(text, f.Have+", needed: "+f.Need)
			}
			if got := strings.Join(text, "\n"); possible != row.possible || !strings.Contains(got, row.want) {
				t.Errorf("possible %v:\n%s", possible, got)
			}
			if !possible && len(findings) != 1 {
				t.Errorf("not one reason:\n%s", strings.Join(text, "\n"))
			}
		})
	}
}
