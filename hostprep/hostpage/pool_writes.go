package hostpage

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
)

// poolWritesCheck tells of pools that can't be written, as the kernel still waits in a write.
var poolWritesCheck = hostCheck{"pool writes", func(h host.Host, _ anyGuest) (facts []Fact, err error) {
	state, _ := h.Pools() // pageSizesCheck says why
	for _, size := range state.Sizes() {
		if stuck := pool.StillWriting(h.Root, size); stuck != nil {
			facts = append(facts, off(hostprep.Warning, "pool writes", stuck.Error(), "a kernel that adds and frees pages of "+size.String(), stuck.Do()))
		}
	}
	return facts, nil
}}
