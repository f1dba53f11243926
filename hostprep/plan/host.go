package plan

import (
	"slices"

	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Host is what a rehearsal must know of a host; it can be recorded.
type Host struct {
	TotalKiB     int64 `json:"total_kib"`
	AvailableKiB int64 `json:"available_kib"` // MemAvailable
	ReserveKiB   int64 `json:"reserve_kib"`   // of ordinary memory, that the host keeps
	// Commit is what the kernel lets programs map where vm.overcommit_memory is 2; nil: it is not.
	Commit    *HostCommit `json:"commit,omitempty"`
	SmallPage pages.Size  `json:"small_page_kib"`
	// FreesStructs says that the kernel frees the page structs of pages that are added.
	FreesStructs bool          `json:"frees_structs,omitempty"`
	Nodes        []HostNode    `json:"nodes"`
	Pools        []pool.Pool   `json:"pools"`   // by node and size
	Sums         []HostPool    `json:"sums"`    // by size, over all nodes
	Pending      []HostPending `json:"pending"` // that guests which start now will still take
}

// HostCommit is a host.Commit with vm.overcommit_memory at 2.
type HostCommit struct {
	LimitKiB     int64 `json:"limit_kib"`
	CommittedKiB int64 `json:"committed_kib"`
	Ratio        int64 `json:"ratio,omitempty"` // in percent, by which the limit falls as pools grow; 0: it does not
}

// HostNode is the ordinary memory of a node.
type HostNode struct {
	Node     int   `json:"node"`
	TotalKiB int64 `json:"total_kib"`
	FreeKiB  int64 `json:"free_kib"`
	CacheKiB int64 `json:"cache_kib"` // the page cache, which the kernel drops where it needs memory
}

// HostPool is the pool of a page size over all nodes, in pages.
type HostPool struct {
	Size       pages.Size `json:"page_size_kib"`
	Total      int64      `json:"total"`
	Free       int64      `json:"free"`
	Reserved   int64      `json:"reserved"`
	Surplus    int64      `json:"surplus"`
	Overcommit int64      `json:"overcommit"`
}

// HostPending is a pool.Pending.
type HostPending struct {
	pool.Take
	Unmapped  int64  `json:"unmapped"`
	Unfaulted int64  `json:"unfaulted"`
	For       string `json:"for,omitempty"`
}

// ReadHost reads a host. It keeps reserve bytes of ordinary memory; 0: the rule's.
func ReadHost(h host.Host, reserve int64) (r Host, err error) {
	state, err := h.Pools()
	if err != nil {
		return r, err
	}
	nodes, err := h.Nodes()
	if err != nil {
		return r, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return r, err
	}
	_, kept, err := capacity.Headroom(h, reserve)
	if err != nil {
		return r, err
	}
	commit, err := h.Commit()
	if err != nil {
		return r, err
	}
	if commit.Mode == host.OvercommitNever {
		r.Commit = &HostCommit{commit.Limit / pages.KiB, commit.Committed / pages.KiB, commit.Ratio}
	}
	pending, err := h.Pending("")
	if err != nil {
		return r, err
	}
	if r.SmallPage, err = h.SmallPage(); err != nil {
		return r, err
	}
	if r.FreesStructs, _, err = h.FreesStructs(); err != nil {
		return r, err
	}
	r.TotalKiB, r.AvailableKiB, r.ReserveKiB = mem.Total/pages.KiB, mem.Available/pages.KiB, kept/pages.KiB
	r.setState(state)
	for _, n := range nodes {
		r.Nodes = append(r.Nodes, HostNode{n.ID, n.Total / pages.KiB, n.Free / pages.KiB, n.Cache / pages.KiB})
	}
	for _, p := range pending {
		r.Pending = append(r.Pending, HostPending{p.Take, p.Unmapped, p.Unfaulted, p.For})
	}
	return r, nil
}

// NewHost is a host of which no files can be read: that keeps what the rule says of its
// memory, and on which no guest starts now.
func NewHost(total, available int64, small pages.Size, nodes []host.Node, state pool.State) Host {
	r := Host{TotalKiB: total / pages.KiB, AvailableKiB: available / pages.KiB, ReserveKiB: pool.Reserve(total) / pages.KiB, SmallPage: small}
	r.setState(state)
	for _, n := range nodes {
		r.Nodes = append(r.Nodes, HostNode{n.ID, n.Total / pages.KiB, n.Free / pages.KiB, n.Cache / pages.KiB})
	}
	return r
}

func (r *Host) setState(state pool.State) {
	r.Pools = state.Pools
	for _, g := range state.Globals {
		r.Sums = append(r.Sums, HostPool(g))
	}
}

// rehearsal is the host before the first start. Its guests that start now keep what they
// will take.
func (r Host) rehearsal() rehearsal {
	var pending []pool.Pending
	for _, p := range r.Pending {
		pending = append(pending, pool.Pending{Take: p.Take, Unmapped: p.Unmapped, Unfaulted: p.Unfaulted, For: p.For})
	}
	on := rehearsal{total: r.TotalKiB * pages.KiB, available: r.AvailableKiB * pages.KiB, reserve: r.ReserveKiB * pages.KiB, small: r.SmallPage,
		state: pool.State{Pools: slices.Clone(r.Pools)}, pending: func(...string) []pool.Pending { return pending }}
	for _, n := range r.Nodes {
		on.nodes = append(on.nodes, host.Node{ID: n.Node, Total: n.TotalKiB * pages.KiB, Free: n.FreeKiB * pages.KiB, Cache: n.CacheKiB * pages.KiB})
	}
	for _, s := range r.Sums {
		on.state.Globals = append(on.state.Globals, pool.Global(s))
	}
	if r.FreesStructs {
		on.freed = r.SmallPage
	}
	if c := r.Commit; c != nil {
		on.commit = host.Commit{Mode: host.OvercommitNever, Limit: c.LimitKiB * pages.KiB, Committed: c.CommittedKiB * pages.KiB, Ratio: c.Ratio}
	}
	return on
}
