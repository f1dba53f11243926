package capacity

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// cacheKey is what this package keeps with host.Once.
type cacheKey string

// Growth is how far all pools could grow.
type Growth struct {
	headroom int64 // bytes that they may grow together
	stuck    map[pages.Size]*pool.Stuck
	small    pages.Size // the host's small page
	nodes    []nodeGrowth
}

type nodeGrowth struct {
	hostprep.CouldMake
	node   int
	size   pages.Size
	pooled int64 // the memory of the node's pools, in pages of this size
}

// ReadGrowth looks at the host's free memory. The host keeps reserve bytes of
// ordinary memory, so that the pools can grow by headroomKiB, both as Headroom
// has them.
//
// Sources: the buddy allocator's free blocks in /proc/buddyinfo, less what
// /proc/zoneinfo keeps of each zone; and from /proc/pagetypeinfo, which only root may
// read, blocks that are set apart and blocks that hold memory which can't be moved.
func ReadGrowth(h host.Host, headroomKiB, reserve int64) (Growth, error) {
	return host.Once(h, cacheKey(fmt.Sprint("growth ", headroomKiB, reserve)), func() (Growth, error) { return newGrowth(h, headroomKiB, reserve) })
}

func newGrowth(h host.Host, headroomKiB, reserve int64) (Growth, error) {
	growth, limits, err := most(h, headroomKiB, reserve)
	if err != nil {
		return growth, err
	}
	zones, err := h.Buddyinfo()
	if err != nil {
		return growth, err
	}
	return growth.withNow(h, limits, zones)
}

// withNow adds to what most has read how many pages can be had now.
func (growth Growth) withNow(h host.Host, limits []host.ZoneLimits, zones []host.Zone) (Growth, error) {
	types, err := h.PageTypes()
	if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
		return growth, err
	}
	onDemand, err := h.OnDemand()
	if err != nil {
		return growth, err
	}
	for i := range growth.nodes {
		n := &growth.nodes[i]
		if n.size == pages.Size1GiB {
			n.Now = onDemand[n.node]
		}
		canMove := -n.pooled
		for _, l := range limits {
			if l.Node == n.node {
				n.Now += blocks(l, zones, types, n.size, growth.small)
				canMove += movable(l, types, n.size, growth.small)
			}
		}
		if len(types) > 0 {
			n.Compacted = max(0, min(n.Compacted, canMove))
		}
		n.Now = min(n.Now, n.Compacted)
	}
	return growth, nil
}

// most is a Growth without Now, which is costly to read: the kernel counts its free
// blocks under a lock.
func most(h host.Host, headroomKiB, reserve int64) (Growth, []host.ZoneLimits, error) {
	growth := Growth{headroom: headroomKiB * pages.KiB}
	state, err := h.Pools()
	if err != nil {
		return growth, nil, err
	}
	growth.stuck = pool.StuckWrites(h.Root, state.Sizes())
	nodes, err := h.Nodes()
	if err != nil {
		return growth, nil, err
	}
	if growth.small, err = h.SmallPage(); err != nil {
		return growth, nil, err
	}
	limits, err := h.Zoneinfo()
	if err != nil {
		return growth, nil, err
	}
	moves, _, err := h.MovesGigantic()
	for _, p := range state.Pools {
		i := slices.IndexFunc(nodes, func(n host.Node) bool { return n.ID == p.Node })
		if i < 0 {
			continue
		}
		one := nodeGrowth{node: p.Node, size: p.Size}
		for _, other := range state.Pools {
			if other.Node == p.Node {
				one.pooled += other.Total * int64(other.Size) / int64(p.Size)
			}
		}
		for _, l := range limits {
			if l.Node == p.Node && (p.Size < pages.Size1GiB || moves || l.Name != host.Movable) {
				one.Compacted += l.Ranges(p.Size, growth.small)
			}
		}
		one.Compacted = max(0, min(one.Compacted-p.Total, growth.headroom/int64(p.Size)))
		if len(nodes) > 1 {
			room := nodes[i].Free + nodes[i].Cache - pool.NodeReserve(reserve, len(nodes))
			one.Compacted = min(one.Compacted, max(0, room)/int64(p.Size))
		}
		if growth.stuck[p.Size] != nil {
			one.Compacted = 0
		}
		growth.nodes = append(growth.nodes, one)
	}
	return growth, limits, err
}

// Foresee is the Growth for a guest's needs, or its cheap part. That does for needs of which
// twice as much is free as it should be: what of it nobody may allocate is little.
func Foresee(h host.Host, a hostprep.Allowance, needs []pool.Need, whole bool) (Growth, error) {
	growth, limits, err := most(h, a.HeadroomKiB, a.Reserve)
	if err != nil || !whole {
		return growth, err
	}
	zones, err := h.Buddyinfo()
	if err == nil && slices.ContainsFunc(needs, func(n pool.Need) bool { return growth.free(n, limits, zones) < 2*n.Pages }) {
		return growth.withNow(h, limits, zones)
	}
	return growth, err
}

// free is how many pages for a need are free in one piece, whoever may allocate them.
func (g Growth) free(need pool.Need, limits []host.ZoneLimits, zones []host.Zone) (n int64) {
	for _, l := range limits {
		if len(need.Nodes) == 0 || slices.Contains(need.Nodes, l.Node) {
			n += blocks(l, zones, nil, need.Size, g.small)
		}
	}
	return n
}

// On is what some nodes, nil: all, could make of a size.
func (g Growth) On(size pages.Size, nodes []int) hostprep.CouldMake {
	var sum hostprep.CouldMake
	for _, n := range g.nodes {
		if n.size == size && (len(nodes) == 0 || slices.Contains(nodes, n.node)) {
			sum.Now, sum.Compacted = sum.Now+n.Now, sum.Compacted+n.Compacted
		}
	}
	most := g.headroom / int64(size)
	return hostprep.CouldMake{Now: min(sum.Now, most), Compacted: min(sum.Compacted, most)}
}

// Missing is the first need of which the kernel cannot allocate all pages, whatever it
// tries; nil: it can.
func (g Growth) Missing(needs []pool.Need) *pool.Short {
	for _, need := range needs {
		if could := g.On(need.Size, need.Nodes); could.Compacted < need.Pages {
			return &pool.Short{Need: need, Got: could.Compacted, Stuck: g.stuck[need.Size]}
		}
	}
	return nil
}

// blocks is how many free blocks of a page's size a zone has that anybody may allocate.
func blocks(l host.ZoneLimits, zones []host.Zone, types []host.PageType, size, small pages.Size) int64 {
	order := bits.Len64(uint64(size/small)) - 1
	var n int64
	for _, zone := range zones {
		if zone.Node == l.Node && zone.Name == l.Name {
			n += host.BlocksFrom(zone.Blocks, order)
		}
	}
	for _, t := range types { // counted above as well
		if t.Node == l.Node && t.Zone == l.Name && (t.Type == "HighAtomic" || t.Type == "Isolate") {
			n -= host.BlocksFrom(t.Free, order)
		}
	}
	return max(0, min(n, (l.Free-l.Kept)/int64(size/small)))
}

// movable is how many pages of a size compaction could at most form in a zone: all of it
// but the pageblocks that can't be emptied, plus what is free in those. One unmovable page,
// such as the kernel's own, spoils its block; the kernel marks a block by what it mostly
// holds. Memory that is not initialized yet is in no block, and can be allocated.
func movable(l host.ZoneLimits, types []host.PageType, size, small pages.Size) int64 {
	per := int64(size / small)
	var listed, spoiled int64
	for _, t := range types {
		if t.Node != l.Node || t.Zone != l.Name {
			continue
		}
		listed += t.Pages
		if t.Type != "Movable" && t.Type != "Reclaimable" && t.Type != "CMA" {
			spoiled += max(0, t.Pages-per*host.BlocksFrom(t.Free, bits.Len64(uint64(per))-1))
		}
	}
	return (max(listed, l.Present) - spoiled) / per
}
