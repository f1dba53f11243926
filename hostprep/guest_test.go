package hostprep

import (
	"testing"

	"vmhuge/internal/pages"
)

// The nodes that a memory device names are strict since libvirt 12.0; before, and for
// other memory, <numatune> has the mode.
func TestNodesOfDevices(t *testing.T) {
	demand := pages.Demand{Items: []pages.Item{
		{Kind: pages.RAM, HostNodes: "0", Mode: pages.Preferred},
		{Kind: pages.DIMM, HostNodes: "1", Mode: pages.Preferred, OwnNodes: true},
		{Kind: pages.VirtioMem, HostNodes: "1", Mode: pages.Restrictive, OwnNodes: true},
	}}
	for version, want := range map[uint32][3]pages.Mode{
		UnknownVersion: {pages.Preferred, pages.Preferred, pages.Restrictive},
		11010000:       {pages.Preferred, pages.Preferred, pages.Restrictive},
		12000000:       {pages.Preferred, pages.Strict, pages.Strict},
		12009000:       {pages.Preferred, pages.Strict, pages.Strict},
	} {
		g := NewGuest(demand, pages.Traits{}, SystemStarter(version, UnknownVersion), UnknownIDs(), Unasked())
		for i, item := range g.Demand.Items {
			if item.Mode != want[i] {
				t.Errorf("libvirt %d: item %d is %s, not %s", version, i, item.Mode, want[i])
			}
		}
	}
	if demand.Items[1].Mode != pages.Preferred {
		t.Error("the demand itself has changed")
	}
}
