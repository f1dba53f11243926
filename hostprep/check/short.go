package check

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
)

// Short says why the guest's start would fail for want of pages if the pools
// stayed as they are; nil: it would not, or nobody can tell.
func Short(h host.Host, guest hostprep.Guest) *hostprep.Finding {
	guest.HeadroomKiB = hostprep.NotAsked
	return Lacking(h, guest)
}

// Lacking is Short, and says too whether the pools can get what they lack.
func Lacking(h host.Host, guest hostprep.Guest) *hostprep.Finding {
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
