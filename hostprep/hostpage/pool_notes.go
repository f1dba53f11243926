package hostpage

import (
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
)

// PoolNotes says which programs but QEMU hold pages, which pages nobody uses, and which pools
// can't be written: the facts of Facts on that.
func PoolNotes(h host.Host) []Fact {
	h = h.Snapshot()
	users, _ := h.HugetlbUsers() // holdersCheck says why
	others := slices.ContainsFunc(users, func(u host.HugetlbUser) bool { return !strings.HasPrefix(u.Name, "qemu") })
	var notes []Fact
	for _, f := range look(h, anyGuest{}, []hostCheck{poolWritesCheck, holdersCheck, reservedCheck}) {
		if f.Severity != hostprep.OK || f.Name == "in use" && others {
			notes = append(notes, f)
		}
	}
	return notes
}
