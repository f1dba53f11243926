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
	// AtLeast is how many percent of its RAM in use must be on transparent huge pages once
	// vmhuge has started it; 0: as they come.
	AtLeast float64 `json:"at_least_percent,omitempty"`
	// IfShort is what vmhuge start puts it on where the host has too few of its pages, and
	// Instead what it takes then: only where they are too few.
	IfShort pages.IfShort `json:"if_short,omitempty"`
	Instead *Instead      `json:"instead,omitempty"`
	// InsteadOf are the pages that its definition asks for, where it was started on others,
	// as the host has too few of them.
	InsteadOf []pages.Total `json:"instead_of,omitempty"`
	// Dest is the host to which the domain may be moved, if it was asked about:
	// then the verdict is that host's.
	Dest *Dest `json:"dest,omitempty"`
}

// Instead is a start on other pages than the definition asks for.
type Instead struct {
	Backing pages.Backing `json:"backing"`
	Totals  []pages.Total `json:"totals"`
	Starts  bool          `json:"starts"` // vmhuge start would succeed on them
	Why     string        `json:"why,omitempty"`
}

// mayFallBack says that the domain does not start for want of pages, and may on others.
func (r Report) mayFallBack() bool {
	return r.IfShort != 0 && !r.Active() && r.Verdict == hostprep.NoMemory && r.Backing == pages.Hugetlb
}

// Active says whether a QEMU process stands behind the domain.
func (r Report) Active() bool { return r.State.active() }

// Changes are those that were made for it.
func (r Report) Changes() []change.Change { return r.Changed }
