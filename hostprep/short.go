package hostprep

import "vmhuge/internal/pages"

// Short says why the guest's start would fail for want of pages if the pools
// stayed as they are; nil: it would not, or nobody can tell.
func (h Host) Short(guest Guest) *Finding {
	guest.HeadroomKiB = notAsked
	return h.Lacking(guest)
}

// notAsked is the headroom of a guest of whom it is not asked if the pools may
// grow.
const notAsked = 1 << 20 * pages.GiB / pages.KiB

// Lacking is Short, and says too whether the pools can get what they lack.
func (h Host) Lacking(guest Guest) *Finding {
	findings, err := poolCheck.Detect(h, guest)
	if err != nil {
		return nil
	}
	for _, f := range findings {
		if f.Severity == Blocker && f.Verdict == NoMemory {
			return &f
		}
	}
	return nil
}
