package check

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
)

// PoolNotes says who but guests holds pages, and which pages nobody uses: the facts
// of Facts on that, without what is as it should be.
func PoolNotes(h host.Host) []Fact {
	var notes []Fact
	for _, f := range look(h.Snapshot(), anyGuest{}, []hostCheck{holdersCheck, reservedCheck}) {
		if f.Severity != hostprep.OK {
			notes = append(notes, f)
		}
	}
	return notes
}
