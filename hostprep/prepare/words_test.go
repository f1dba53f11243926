package prepare

import (
	"strings"
	"testing"

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
