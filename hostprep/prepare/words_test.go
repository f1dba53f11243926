package prepare

import (
	"strings"
	"testing"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// saidOf is what a preparation of a host would do, one finding a line.
func saidOf(t *testing.T, name, edits string, p Options) string {
	t.Helper()
	would, err := Would(host.Host{Root: hosttest.Unpack(t, name, edits)}, p)
	hosttest.Must(t, err)
	var lines []string
	for _, f := range would.Findings {
		line := string(f.Severity) + ": " + f.Have + "; needed: " + f.Need
		if f.Do != "" {
			line += "; " + f.Do
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Pages on a node without processors are for no guest that is bound there.
func TestNodeWithoutCPUs(t *testing.T) {
	const says = "warning: node 1 has no CPUs, and QEMU may be unable to preallocate there; needed: pages on nodes with CPUs, for guests; vmhuge prepare --pages 200 --size 2M --node 0"
	for _, test := range []struct {
		node int
		by   string
		says bool
	}{{1, "", true}, {0, "", false}, {1, "postgres", false}} {
		got := saidOf(t, "amd-npt", "", Options{For: test.by, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 200, Nodes: []int{test.node}}}})
		if strings.Contains(got, says) != test.says {
			t.Errorf("%+v:\n%s", test, got)
		}
	}
}

// A split is shown as the write that it is: nr_hugepages would have the kernel look for free
// memory instead.
func TestDemoteShown(t *testing.T) {
	const dir = "sys/devices/system/node/node0/hugepages/hugepages-1048576kB/"
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- pools --\nall 2048 2048 1200 0 0 0\nall 1048576 3 3 0 0 0\n0 2048 2048 1200 0\n0 1048576 3 3 0\n-- "+dir+"demote_size --\n2048kB\n")}
	would, err := Would(h, Options{Demote: &pool.Need{Size: pages.Size1GiB, Pages: 1}})
	hosttest.Must(t, err)
	if got := change.Join(would.Findings[0].Changes); got != "echo 1 > /"+dir+"demote" {
		t.Error(got)
	}
}
