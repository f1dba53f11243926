package metrics

import (
	"strconv"

	"vmhuge/hostprep"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Memory is the host's memory, in bytes.
type Memory struct {
	Total     int64
	Available int64 // for programs, without swapping
	Reserve   int64 // ordinary memory that vmhuge leaves to the host
	Headroom  int64 // how far the pools may grow
	Pools     pool.State
	// Of the kernel's areas for contiguous memory, from which it allocates pages of 1 GiB on
	// demand; 0: there is none.
	Area, AreaFree int64
	// CouldMake is how many pages each pool could gain.
	CouldMake []CouldMake
}

// CouldMake is how many pages the pool of a node could gain.
type CouldMake struct {
	Node int
	Size pages.Size
	hostprep.CouldMake
}

var (
	memoryTotal     = newDesc("memory_total_bytes", "The host's memory.")
	memoryAvailable = newDesc("memory_available_bytes", "Memory that programs can use without swapping; the page pools do not count.")
	memoryPools     = newDesc("memory_pools_bytes", "Memory in the page pools, of all sizes.")
	memoryIdle      = newDesc("memory_pools_idle_bytes", "Memory in the pools that is neither used nor promised.")
	memoryReserve   = newDesc("memory_reserve_bytes", "Ordinary memory that vmhuge leaves to the host.")
	memoryArea      = newDesc("memory_cma_bytes", "The kernel's CMA areas, such as that of hugetlb_cma= for 1 GiB pages.")
	memoryAreaFree  = newDesc("memory_cma_free_bytes", "Free memory of the CMA areas; the rest holds 1 GiB pages, or memory that the kernel can move.")
	couldMake       = newDesc("pool_could_make_pages", "Pages that the kernel could add to a pool now, and at most after compaction.", "node", "page_size_bytes", "compaction")
	memoryHeadroom  = newDesc("memory_headroom_bytes", "How far the pools may still grow with that left to the host.")
)

func showMemory(o out, m Memory, err error) {
	if err != nil {
		return
	}
	var pools, idle int64
	for _, g := range m.Pools.Globals {
		pools += g.Total * int64(g.Size)
		idle += max(0, g.Free-g.Reserved) * int64(g.Size)
	}
	o.gauge(memoryTotal, float64(m.Total))
	o.gauge(memoryAvailable, float64(m.Available))
	o.gauge(memoryPools, float64(pools))
	o.gauge(memoryIdle, float64(idle))
	o.gauge(memoryReserve, float64(m.Reserve))
	o.gauge(memoryHeadroom, float64(m.Headroom))
	for _, c := range m.CouldMake {
		o.gauge(couldMake, float64(c.Now), strconv.Itoa(c.Node), sizeLabel(c.Size), "none")
		o.gauge(couldMake, float64(c.Compacted), strconv.Itoa(c.Node), sizeLabel(c.Size), "full")
	}
	if m.Area > 0 {
		o.gauge(memoryArea, float64(m.Area))
		o.gauge(memoryAreaFree, float64(m.AreaFree))
	}
}
