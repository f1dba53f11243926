package launcher

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
)

// Report is what is known of one domain: what it asks for, what keeps it from
// starting, what was changed, and what it got.
type Report struct {
	Name     string             `json:"name"`
	UUID     string             `json:"uuid"`
	State    State              `json:"state"`
	Backing  pages.Backing      `json:"backing"`
	Verdict  hostprep.Verdict   `json:"verdict"`
	Ready    bool               `json:"ready"`   // a plain virsh start would succeed now
	Fixable  bool               `json:"fixable"` // vmhuge start would make it succeed
	Demand   []pages.Item       `json:"demand"`
	Totals   []pages.Total      `json:"totals"`
	Findings []hostprep.Finding `json:"findings"`
	Changed  []change.Change    `json:"changed"`
	Proof    *proof.Proof       `json:"proof,omitempty"`
	// InsteadOf are the pages that its definition asks for, where it was started on others,
	// as the host has too few of them.
	InsteadOf []pages.Total `json:"instead_of,omitempty"`
	// Dest is the host to which the domain may be moved, if it was asked about:
	// then the verdict is that host's.
	Dest *Dest `json:"dest,omitempty"`
}

// Active says whether a QEMU process stands behind the domain.
func (r Report) Active() bool { return r.State.active() }
