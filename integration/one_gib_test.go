package integration

import (
	"slices"
	"testing"
	"time"
)

// oneNodeWith1G has two pages of 1 GiB from boot on, and room for more in one piece.
var oneNodeWith1G = machine{nodes: 1, nodeMiB: 8192, kernel: "hugepagesz=1G hugepages=2"}

// TestMicroVMPagesOf1GiB runs what needs pages of 1 GiB, as the machine's processor
// may have none.
func TestMicroVMPagesOf1GiB(t *testing.T) {
	if !inMicroVM(t, oneNodeWith1G.within(time.Hour)) {
		return
	}
	if !has1G() {
		t.Fatal("the micro-VM has no pages of 1 GiB")
	}
	t.Run("paused", func(t *testing.T) { pausedStartTakesAllPages(t, takes1G) })
	t.Run("start", func(t *testing.T) { enableStartVerifyStop(t, takes1G) })
	t.Run("if-short", startOn2MIfShortOf1G)
	t.Run("enable-if-short", enableIfShort)
	t.Run("reserve-growth", reserveGrowth)
	t.Run("demote", demote)
	t.Run("faults", func(t *testing.T) {
		// These pages exist from boot on; tests about too few of them run on machines without.
		few := []string{"pool-1G-one-short", "sizes-mixed-short-of-1G"}
		runFaults(t, sampled(t, slices.DeleteFunc(machineFaults(), func(f fault) bool { return !f.of1G || slices.Contains(few, f.name) })))
	})
	t.Run("shapes", func(t *testing.T) {
		startShapes(t, sampled(t, slices.DeleteFunc(slices.Clone(shapes), func(s shape) bool { return !s.of1G() })), 100)
	})
}

func takes1G(p pageCount) bool {
	_, ok := p[size1G]
	return ok
}

// possible returns true for pages that this machine can have.
func possible(p pageCount) bool { return !takes1G(p) || has1G() }
