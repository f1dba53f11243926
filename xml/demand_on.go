package xml

import (
	"slices"

	"vmhuge/internal/pages"
)

// DemandOn is Demand on a host whose libvirt has a default page size, for which
// size is asked only where the domain leaves that to libvirt.
func DemandOn(doc []byte, size func() (pages.Size, error)) (pages.Demand, error) {
	demand, err := Demand(doc, 0)
	if err != nil || !slices.ContainsFunc(demand.Items, func(i pages.Item) bool { return i.PageSize == 0 }) {
		return demand, err
	}
	demand.DefaultSize = true
	known, err := size()
	if err != nil {
		return demand, err
	}
	sized, err := Demand(doc, known)
	if err != nil {
		return demand, err
	}
	sized.DefaultSize = true
	return sized, nil
}
