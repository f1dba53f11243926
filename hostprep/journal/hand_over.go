package journal

import (
	"slices"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// OfHook is the name of the record of what the hook's installation has changed.
const OfHook = "hook.json"

// handOver gives a folder in which another record has made something to that record, as
// its oldest change: its Undo removes the folder after what is in it. False: there is no
// such record. The records share a lock, which is held.
func (j Journal) handOver(r record) (bool, error) {
	if r.Kind != change.KindMkdir {
		return false, nil
	}
	for _, name := range []string{"", OfHook} {
		other := Journal{Host: j.Host, Name: name}
		if name == j.Name {
			continue
		}
		records, err := other.read()
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(records, func(o record) bool { return o.Path != r.Path && host.Within(o.Path, r.Path) }) {
			return true, other.write(append([]record{r}, records...))
		}
	}
	return false, nil
}
