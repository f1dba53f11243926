package metrics

import (
	"strconv"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

var (
	poolPages      = newDesc("pool_pages", "Pages of a pool, used or free; the sum is the pool.", "node", "page_size_bytes", "state")
	poolSurplus    = newDesc("pool_surplus_pages", "Surplus pages, which the kernel frees once nobody uses them.", "node", "page_size_bytes")
	poolReserved   = newDesc("pool_reserved_pages", "Free pages that are promised to a mapping but not touched yet; the kernel counts them for all nodes together.", "page_size_bytes")
	poolOvercommit = newDesc("pool_overcommit_pages", "How many surplus pages are allowed, on all nodes together.", "page_size_bytes")
)

func showPools(o out, state pool.State, _ error) {
	for _, p := range state.Pools {
		node, size := strconv.Itoa(p.Node), sizeLabel(p.Size)
		o.gauge(poolPages, float64(p.Total-p.Free), node, size, "used")
		o.gauge(poolPages, float64(p.Free), node, size, "free")
		o.gauge(poolSurplus, float64(p.Surplus), node, size)
	}
	for _, g := range state.Globals {
		o.gauge(poolReserved, float64(g.Reserved), sizeLabel(g.Size))
		o.gauge(poolOvercommit, float64(g.Overcommit), sizeLabel(g.Size))
	}
}

func sizeLabel(size pages.Size) string { return strconv.FormatInt(int64(size), 10) }
