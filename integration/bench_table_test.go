package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// A goal is a row of the table in docs/speed.md: what some work shall cost at most, beside
// its peer in the same run.
type goal struct {
	work, unit string
	most       float64
}

var goals = []goal{
	{"hook, guest without huge pages", "of lean bash", 0.55},
	{"hook, ready host", "of lean bash", 0.9},
	{"hook, ready host", "of bash", 0.45},
	{"hook, release", "of lean bash", 0.7},
	{"hook beside 1,000 claims", "of that beside 1", 1.3},
	{"check of one ready guest", "of virsh dominfo", 1.1},
	{"check of 500 guests", "ms", 150},
	{"check of 500 guests, for each", "of that of 100, for each", 1.1},
	{"enable", "of virt-xml", 0.15},
	{"start, ready host", "of virsh start", 1},
	{"pages on a fragmented host, the least", "of what hugeadm got", 1},
	{"time for as many pages as hugeadm got", "of hugeadm's", 0.7},
	{"time for all pages", "of hugeadm's, again after each compaction", 0.7},
	{"status with 500 guests", "ms", 300},
	{"metrics with 500 guests", "ms", 300},
	{"memory of check", "of virsh dominfo's", 1.5},
	{"memory of enable", "of virt-xml's", 1.5},
	{"memory of start", "of virsh start's", 1.5},
}

// measured are the figures of this run, by goal.
var measured = map[goal]float64{}

// measure notes a figure for the table.
func measure(work, unit string, value float64) {
	i := slices.IndexFunc(goals, func(g goal) bool { return g.work == work && g.unit == unit })
	if i < 0 {
		panic("no goal for " + work + " " + unit)
	}
	measured[goals[i]] = value
}

// printTable prints the figures that there are.
func printTable() {
	if len(measured) == 0 {
		return
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "\nwork\tmeasured\tgoal\t\n")
	for _, g := range goals {
		value, ok := measured[g]
		if !ok {
			continue
		}
		reached := "reached"
		// The pages are to be as many, not fewer.
		if more := strings.HasSuffix(g.work, "the least"); more && value < g.most || !more && value > g.most {
			reached = "not reached"
		}
		fmt.Fprintf(table, "%s\t%.3g %s\t%.3g\t%s\n", g.work, value, g.unit, g.most, reached)
	}
	_ = table.Flush()
}
