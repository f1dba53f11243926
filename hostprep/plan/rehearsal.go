package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// cacheKey is what this package keeps with host.Once.
type cacheKey string

// A rehearsal is the host as it would be after some starts. It follows the
// rules of a start and of Hold; what it can't know is how far memory is
// fragmented, and on which of several nodes the kernel takes an unbound
// guest's pages: where most are free, it says, which is so where they were
// added for that guest.
type rehearsal struct {
	state     pool.State
	nodes     []host.Node
	total     int64 // MemTotal
	available int64 // MemAvailable
	reserve   int64
	commit    host.Commit
	small     pages.Size // of the host's pages
	freed     pages.Size // the same where the kernel frees the page structs of pages that are added; 0: it does not
	fixed     bool       // no pool grows
	plain     int64      // RAM on small pages and QEMU's own memory that guests have taken
	kvm       host.KVMHPage
	pending   func(except ...string) []pool.Pending // that other guests take
	limits    func(partition string) ([]libvirtd.PageLimit, error)
	limited   map[string]int64 // the bytes that guests have taken of each limit
	noDriver  string           // why no guest of the system driver starts
	started   []string         // the UUIDs of the guests that have started
}

// rehearse reads the host. It keeps reserve bytes of ordinary memory; 0: the
// rule's.
func rehearse(h host.Host, reserve int64) (rehearsal, error) {
	on, err := ReadHost(h, reserve)
	if err != nil {
		return rehearsal{}, err
	}
	r := on.rehearsal()
	r.reserve = cmp.Or(reserve, pool.Reserve(r.total)) // to the byte
	r.pending = func(except ...string) []pool.Pending { p, _ := ledger.ReadPending(h.Root, except...); return p }
	if r.kvm, err = h.KVMHPage(); err != nil {
		return r, err
	}
	conf, err := libvirtd.ReadQEMUConf(h, "")
	if errors.Is(err, libvirtd.ErrConf) { // a daemon that runs has read another
		return r, nil
	}
	r.noDriver = conf.NoDriver(libvirtd.QEMUConfPath(h))
	h = h.EnsureSnapshot()
	r.limits = func(partition string) ([]libvirtd.PageLimit, error) {
		return host.Once(h, cacheKey("limits "+partition), func() ([]libvirtd.PageLimit, error) { return libvirtd.PageLimits(h, conf, partition) })
	}
	return r, err
}

func (r rehearsal) clone() rehearsal {
	r.limited = maps.Clone(r.limited)
	r.state.Globals, r.state.Pools, r.nodes = slices.Clone(r.state.Globals), slices.Clone(r.state.Pools), slices.Clone(r.nodes)
	return r
}

// start has a guest start, and says why it would not. With force the host
// grows what it lacks, and may then have less than nothing left.
func (r *rehearsal) start(c hostprep.Candidate, force bool) (why string) {
	if c.Runs {
		return ""
	}
	_, private := c.Demand.Committed()
	if left := r.commit.Left(); private > left && !force {
		return fmt.Sprintf("%s of memory outside the pools is needed, and vm.overcommit_memory is 2: %s of the %s that the kernel commits are left",
			pages.Amount(private), pages.Amount(max(0, left)), pages.Amount(r.commit.Limit))
	}
	if len(c.Demand.Items) > 0 {
		if why = r.beyondLimit(c); why != "" && !force {
			return why
		}
		why = r.hold(hostprep.NewGuest(c.Demand, c.Traits, hostprep.NoStarter(), hostprep.UnknownIDs(), r.allowance(c.UUID)), force)
	} else if short := c.Plain() + c.Overhead(r.small) - r.ordinary(); short > 0 && !force {
		why = fmt.Sprintf("%s of ordinary memory is needed, %s more than the host can give", pages.FormatMiB(c.Plain()+c.Overhead(r.small)), pages.FormatMiB(short))
	}
	if why == "" {
		r.started = append(slices.Clip(r.started), c.UUID)
		r.take(hostprep.TakesOf(c.Demand))
		r.takeLimited(c)
		if c.Plain() > 0 {
			r.plain += c.Plain() + c.Overhead(r.small)
		}
		r.available -= c.Plain() + c.Overhead(r.small)
		r.commit.Committed += private
	}
	return why
}

// beyondLimit says which limit beside the pools keeps a guest from starting; "": none.
func (r *rehearsal) beyondLimit(c hostprep.Candidate) string {
	if c.Session || r.limits == nil {
		return ""
	}
	if r.noDriver != "" {
		return r.noDriver
	}
	limits, err := r.limits(c.Demand.Partition)
	if err != nil {
		return err.Error()
	}
	for _, l := range limits {
		if need := l.Of(c.Demand); need > l.Left-r.limited[l.Where] && need > 0 {
			return fmt.Sprintf("%s, and it needs %d", l.Words(r.limited[l.Where]), need/int64(l.Size))
		}
	}
	return ""
}

// takeLimited counts what a guest takes of each limit.
func (r *rehearsal) takeLimited(c hostprep.Candidate) {
	if c.Session || r.limits == nil {
		return
	}
	limits, _ := r.limits(c.Demand.Partition) // beyondLimit tells of an error
	for _, l := range limits {
		if r.limited == nil {
			r.limited = map[string]int64{}
		}
		r.limited[l.Where] += l.Of(c.Demand)
	}
}

// hold gets the pages that a guest lacks, as Host.Hold does.
func (r *rehearsal) hold(guest hostprep.Guest, force bool) (why string) {
	for _, total := range guest.Demand.Totals() {
		if _, ok := r.state.Global(total.PageSize); !ok {
			return "the host has no pages of " + total.PageSize.String()
		}
		if why := r.kvm.Refuses(total.PageSize); why != "" && guest.Demand.Type == "kvm" {
			return why
		}
	}
	findings, err := capacity.BadNodes(r.nodes, guest.Demand)
	if err != nil {
		return err.Error()
	}
	if len(findings) > 0 {
		return findings[0].Have + "; needed: " + findings[0].Need
	}
	if r.fixed {
		return shortOf(capacity.Limits(r.state, guest))
	}
	needs := capacity.Shortfall(r.state, guest)
	grown := r.clone()
	short := grown.grow(needs)
	if force || (short == nil && capacity.CanGrow(r.nodes, needs, guest.Allowance)) {
		*r = grown
		return ""
	}
	if exceeds := capacity.BeyondHeadroom(needs, guest.Allowance); exceeds != nil {
		short = exceeds
	}
	if !slices.ContainsFunc(capacity.Limits(r.state, guest), func(l capacity.Limit) bool { return l.Judge().Severity == hostprep.Blocker }) {
		return "" // overcommit or another node may give them
	}
	if short == nil { // of a host with one node
		return "the node to which it is bound has too little free memory"
	}
	return short.Error()
}

// shortOf says what the pools as they are lack; "": nothing, or overcommit may give it.
func shortOf(limits []capacity.Limit) string {
	for _, l := range limits {
		if f := l.Judge(); f.Severity == hostprep.Blocker {
			return f.Have + "; needed: " + f.Need
		}
	}
	return ""
}

// allowance is Host.Allowance on paper.
func (r *rehearsal) allowance(uuid string) hostprep.Allowance {
	headroom, byCommit := r.growable()
	return hostprep.Allowance{HeadroomKiB: headroom / pages.KiB, Reserve: r.reserve, Pending: r.pending(append(slices.Clip(r.started), uuid)...), Kept: nil, ByCommit: byCommit}
}

// headroom is how many bytes the pools may still grow.
func (r *rehearsal) headroom() int64 {
	bytes, _ := r.growable()
	return bytes
}

func (r *rehearsal) growable() (bytes int64, byCommit bool) {
	return capacity.Room(r.byMemory(), r.commit.PoolRoom(r.reserve))
}

func (r *rehearsal) byMemory() int64 {
	return pool.Headroom(r.state, r.total, r.available, r.reserve, r.freed)
}

// ordinary is how many bytes of ordinary memory guests may still take: by the same rule,
// with what they have taken; less than nothing where they have taken too much.
func (r *rehearsal) ordinary() int64 {
	return pool.Spare(r.state, r.total-r.plain, r.available, r.reserve)
}

// grow adds pages as ledger.Ledger.Grow does: large ones first, on the node with
// the most free memory first. Where the nodes have too little room the pages
// are added all the same, and the error says so.
func (r *rehearsal) grow(needs []pool.Need) (short *pool.Short) {
	needs = slices.Clone(needs)
	slices.SortStableFunc(needs, func(a, b pool.Need) int { return cmp.Compare(b.Size, a.Size) })
	for _, need := range needs {
		nodes := need.Nodes
		if len(nodes) == 0 {
			nodes = r.state.Nodes(need.Size)
		}
		nodes = r.byFree(nodes)
		left := need.Pages
		for _, node := range nodes {
			give := min(left, r.room(node)/int64(need.Size))
			r.add(node, need.Size, give, 0)
			left -= give
		}
		if left > 0 && short == nil {
			short = &pool.Short{Need: need, Got: need.Pages - left, Kept: pool.NodeReserve(r.reserve, len(r.nodes))}
		}
		if left > 0 && len(nodes) > 0 {
			r.add(nodes[0], need.Size, left, 0)
		}
	}
	return short
}

// room is how many bytes a node may give; see pool.NodeReserve.
func (r *rehearsal) room(id int) int64 {
	node := r.node(id)
	if len(r.nodes) < 2 || node == nil {
		return math.MaxInt64
	}
	return max(0, node.Free+node.Cache-pool.NodeReserve(r.reserve, len(r.nodes)))
}

// add changes a pool by so many pages, of which some are surplus.
func (r *rehearsal) add(node int, size pages.Size, n, surplus int64) {
	for i := range r.state.Pools {
		if p := &r.state.Pools[i]; p.Node == node && p.Size == size {
			p.Total, p.Free, p.Surplus = p.Total+n, p.Free+n, p.Surplus+surplus
		}
	}
	for i := range r.state.Globals {
		if g := &r.state.Globals[i]; g.Size == size {
			g.Total, g.Free, g.Surplus = g.Total+n, g.Free+n, g.Surplus+surplus
		}
	}
	r.commit.Limit -= n * int64(size) * r.commit.Ratio / 100
	structs := int64(0) // that become ordinary memory
	if r.freed != 0 {
		structs = n * size.Structs(r.freed)
	}
	r.total += structs
	if mem := r.node(node); mem != nil {
		mem.Total += structs
		mem.Free -= n*int64(size) - structs
		if mem.Free < 0 && mem.Cache > 0 { // the kernel drops the cache for it
			dropped := min(-mem.Free, mem.Cache)
			mem.Free, mem.Cache = mem.Free+dropped, mem.Cache-dropped
		}
	}
	r.available -= n*int64(size) - structs
}

// take has a guest take its pages: first those that must be on some nodes;
// what is not there is overcommit.
func (r *rehearsal) take(takes []pool.Take) {
	slices.SortStableFunc(takes, func(a, b pool.Take) int { return cmp.Compare(choices(a), choices(b)) })
	for _, take := range takes {
		nodes := slices.Clone(take.Nodes)
		if len(nodes) == 0 {
			nodes = r.state.Nodes(take.Size)
		}
		free := func(node int) int64 { p, _ := r.state.Pool(node, take.Size); return p.Free }
		slices.SortStableFunc(nodes, func(a, b int) int { return cmp.Compare(free(b), free(a)) })
		left := take.Pages
		for _, node := range nodes {
			n := min(left, max(0, free(node)))
			r.use(node, take.Size, n)
			left -= n
		}
		if len(nodes) > 0 && left > 0 {
			node := r.byFree(nodes)[0]
			r.add(node, take.Size, left, left)
			r.use(node, take.Size, left)
		}
	}
}

// choices is how many nodes a take may be on.
func choices(take pool.Take) int {
	if len(take.Nodes) == 0 {
		return math.MaxInt
	}
	return len(take.Nodes)
}

func (r *rehearsal) use(node int, size pages.Size, n int64) {
	for i := range r.state.Pools {
		if p := &r.state.Pools[i]; p.Node == node && p.Size == size {
			p.Free -= n
		}
	}
	for i := range r.state.Globals {
		if g := &r.state.Globals[i]; g.Size == size {
			g.Free -= n
		}
	}
}

func (r *rehearsal) node(id int) *host.Node {
	i := slices.IndexFunc(r.nodes, func(n host.Node) bool { return n.ID == id })
	if i < 0 {
		return nil
	}
	return &r.nodes[i]
}

// byFree orders nodes by their free memory, most first.
func (r *rehearsal) byFree(nodes []int) []int {
	nodes = slices.Clone(nodes)
	free := func(id int) int64 {
		if node := r.node(id); node != nil {
			return node.Free
		}
		return 0
	}
	slices.SortStableFunc(nodes, func(a, b int) int { return cmp.Compare(free(b), free(a)) })
	return nodes
}
