package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/plan"
	"vmhuge/internal/pages"
)

// TestPlan plans random sets of guests and then really starts them, in the same
// order: those start that fit by the plan, and the one that it names is the
// first that does not.
//
// PLAN_SETS is how many sets there are, PLAN_SEED repeats a run.
func TestPlan(t *testing.T) {
	againstReality(t, 3, func(random *rand.Rand, g guest) guest { return g })
}

// planOnNodes does the same on two nodes, with guests that are bound to one of them
// and guests that may get their pages on either.
func planOnNodes(t *testing.T, sets int) {
	againstReality(t, sets, func(random *rand.Rand, g guest) guest {
		switch node := random.IntN(3); node {
		case 0, 1:
			g.more = fmt.Sprintf("<numatune><memory mode='strict' nodeset='%d'/></numatune>", node)
		}
		return g
	})
}

func againstReality(t *testing.T, sets int, bind func(*rand.Rand, guest) guest) {
	sets, seed := number(t, "PLAN_SETS", sets), number(t, "PLAN_SEED", int(time.Now().UnixNano()%1e9))
	t.Logf("PLAN_SETS=%d PLAN_SEED=%d", sets, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	refusals := 0
	for set := range sets {
		t.Run(fmt.Sprint(set), func(t *testing.T) {
			hostAsBefore(t)
			nodes, err := host.Host{Root: "/"}.Nodes()
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range nodes {
				setPages(t, n.ID, size2M, random.IntN(3)*random.IntN(40))
			}
			var names []string
			sum := int64(0)
			for i := range 3 + random.IntN(4) {
				mib := 64 * (1 + random.Int64N(8))
				sum += mib * pages.MiB
				names = append(names, nameOf(t, define(t, bind(random, guest{
					name: fmt.Sprintf("%splan-%d", guestPrefix, i), backing: pages2M, memory: fmt.Sprintf("<memory unit='MiB'>%d</memory>", mib),
				}))))
			}
			// The pools may grow by a part of what the guests want.
			args := []string{"--host-reserve", fmt.Sprintf("%dK", reserveLeaving(t, sum/4+random.Int64N(sum/2))/1024)}
			plan := planned(t, append(append([]string{"plan"}, args...), names...)...)
			first := ""
			for i, name := range names {
				r := vmhuge(t, append([]string{"start", "--paused", name}, args...)...)
				switch {
				case r.Code == 0:
					defer stopNow(t, name)
				case r.Code != 4:
					t.Errorf("start %s: %+v", name, r)
				case first == "":
					first = name
				}
				if plan.Guests[i].Name != name || plan.Guests[i].Fits != (r.Code == 0) {
					t.Errorf("the plan says of %s: %+v; its start: %+v", name, plan.Guests[i], r)
				}
			}
			if plan.FirstFailure != first || plan.Fits != (first == "") {
				t.Errorf("the plan names %q, and %q is the first that does not start", plan.FirstFailure, first)
			}
			if first != "" {
				refusals++
			}
			t.Logf("%d guests, the first that does not start: %q; to move: %q", len(names), first, plan.Move)
		})
	}
	if sets > 1 && refusals == 0 {
		t.Error("every guest of every set fits: nothing is shown")
	}
}

// reserveLeaving is the reserve that leaves the pools so many bytes to grow.
func reserveLeaving(t *testing.T, headroom int64) int64 {
	t.Helper()
	mem, err := host.Host{Root: "/"}.Meminfo()
	if err != nil {
		t.Fatal(err)
	}
	pooled := int64(0)
	for kib, p := range readTestPools(t) {
		for _, n := range p.Nodes {
			pooled += int64(n.Total*kib) * pages.KiB
		}
	}
	return mem.Total - pooled - headroom
}

func planned(t *testing.T, args ...string) plan.Plan {
	t.Helper()
	r := vmhuge(t, append(args, "--json")...)
	var plan plan.Plan
	if err := json.Unmarshal([]byte(r.Stdout), &plan); err != nil || r.Code != map[bool]int{true: 0, false: 4}[plan.Fits] {
		t.Fatalf("vmhuge %q: exit code %d, %v\n%s%s", args, r.Code, err, r.Stdout, r.Stderr)
	}
	return plan
}
