package integration

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// oneNodeWith1G has two pages of 1 GiB from boot on, and room for more in one piece:
// as much that the pages of 2 MiB of the tests before break up only some of it.
var oneNodeWith1G = machine{nodes: 1, nodeMiB: 12288, kernel: "hugepagesz=1G hugepages=2"}

// TestMicroVMPagesOf1GiB runs what needs pages of 1 GiB, as the machine's processor
// may have none. With ROWS it is only these rows of the tables, with commas between.
func TestMicroVMPagesOf1GiB(t *testing.T) {
	if !inMicroVM(t, oneNodeWith1G.within(time.Hour)) {
		return
	}
	if !has1G() {
		t.Fatal("the micro-VM has no pages of 1 GiB")
	}
	rows := os.Getenv("ROWS")
	asked := func(row string) bool { return rows == "" || slices.Contains(strings.Split(rows, ","), row) }
	if rows == "" {
		t.Run("paused", func(t *testing.T) { pausedStartTakesAllPages(t, takes1G) })
		t.Run("start", func(t *testing.T) { enableStartVerifyStop(t, takes1G) })
		t.Run("if-short", startOn2MIfShortOf1G)
		t.Run("enable-if-short", enableIfShort)
		t.Run("reserve-growth", reserveGrowth)
		t.Run("demote", demote)
	}
	t.Run("faults", func(t *testing.T) {
		runFaults(t, sampled(t, slices.DeleteFunc(machineFaults(), func(f fault) bool { return !f.of1G || !asked(f.name) })))
	})
	t.Run("shapes", func(t *testing.T) {
		startShapes(t, sampled(t, slices.DeleteFunc(slices.Clone(shapes), func(s shape) bool { return !s.of1G() || !asked(s.name) })), 100)
	})
}

func takes1G(p pageCount) bool {
	_, ok := p[size1G]
	return ok
}

// possible returns true for pages that this machine can have.
func possible(p pageCount) bool { return !takes1G(p) || has1G() }
