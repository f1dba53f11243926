package live

import (
	"maps"
	"slices"
	"strings"

	"vmhuge/internal/pages"
	"vmhuge/launcher"
	"vmhuge/picture"
)

// Pools is what the status says of the pools, for a picture of them.
func Pools(status []launcher.PoolStatus) []picture.Pool {
	var pools []picture.Pool
	nodes := map[int]bool{}
	for _, s := range status {
		if s.Node >= 0 {
			nodes[s.Node] = true
		}
	}
	for _, s := range status {
		pool := picture.Pool{Node: s.Node, Size: s.Size, Total: s.Total, Free: s.Free, Reserved: s.Reserved, Ours: s.HeldByUs, CouldMake: -1}
		if s.Node >= 0 && len(nodes) > 1 {
			pool.Reserved = -1
		}
		if s.CouldMake != nil {
			pool.CouldMake = s.Now
		}
		pools = append(pools, pool)
	}
	return pools
}

// Guests is what the status says of the guests, for a picture of them. Names are
// as libvirt has them.
func Guests(domains []launcher.DomainStatus) []picture.Guest {
	var guests []picture.Guest
	for _, d := range domains {
		g := picture.Guest{Name: d.Name, State: string(d.State), RAMKiB: d.RAMKiB, Backing: d.Backing, Percent: -1, GivenBackBy: d.GivenBackBy}
		for _, total := range d.Totals {
			g.Sizes = append(g.Sizes, total.PageSize)
		}
		if d.ProofUnknown != "" {
			g.Percent = -2
		} else if d.Proof != nil {
			g.Percent, g.Nodes = d.Proof.BackedPercent, nodesOf(d.Proof.ByNode)
		}
		guests = append(guests, g)
	}
	return guests
}

func nodesOf(byNode map[string]int64) string {
	nodes, err := pages.ParseNodes(strings.Join(slices.Sorted(maps.Keys(byNode)), ","))
	if err != nil {
		return ""
	}
	return pages.FormatNodes(nodes)
}
