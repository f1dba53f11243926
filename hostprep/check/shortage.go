package check

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
)

// ShortageNow says why the guest's start would fail for lack of pages if the pools stayed
// as they are; nil if it would not, or if that cannot be known.
func ShortageNow(h host.Host, guest hostprep.Guest) *hostprep.Finding {
	guest.HeadroomKiB = hostprep.NotAsked
	return Shortage(h, guest)
}

// Shortage is ShortageNow, and also says whether the pools can grow by what is missing.
func Shortage(h host.Host, guest hostprep.Guest) *hostprep.Finding {
	findings, err := Pool.Detect(h, guest)
	if err != nil {
		return nil
	}
	for _, f := range findings {
		if f.Severity == hostprep.Blocker && f.Verdict == hostprep.NoMemory {
			return &f
		}
	}
	return nil
}
