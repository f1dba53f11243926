package ledger

import (
	"testing"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

func TestWithoutGuests(t *testing.T) {
	state := pool.State{Pools: []pool.Pool{{Node: 0, Size: pages.Size2MiB, Total: 100, Surplus: 10}, {Node: 1, Size: pages.Size2MiB, Total: 100}}}
	without := int64(85)
	claims := []Claim{
		{UUID: PreparedUUID, Phase: Prepared, Grants: []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 30}}},
		{UUID: "in use", Grants: []pool.Grant{{Node: 1, Size: pages.Size2MiB, Pages: 40}, {Node: 7, Size: pages.Size2MiB, Pages: 1}}},
		{UUID: PreparedUUID, Phase: Owed, Grants: []pool.Grant{{Node: 1, Size: pages.Size2MiB, Pages: 5}}},
		{UUID: "armed", Armed: []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 10}}},
		{UUID: "killed as it added 50", Grants: []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 50, Without: &without}}},
	}
	after := WithoutGuests(state, claims)
	for node, want := range []int64{85, 55} {
		if got := after.Pools[node].Persistent(); got != want {
			t.Errorf("node %d: %d pages, not %d", node, got, want)
		}
	}
	if state.Pools[1].Total != 100 {
		t.Error("the state itself was changed")
	}
}
