// Package plan rehearses the starts of guests on a copy of the pools.
package plan

import (
	"cmp"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Plan says whether guests fit on the host together, and what would hold them.
type Plan struct {
	Fits bool `json:"fits"`
	// FirstFailure is the first guest that would not start when they are
	// started in the order given; "": all would.
	FirstFailure string  `json:"first_failure"`
	Guests       []Guest `json:"guests"`
	Needs        []Need  `json:"needs"`
	Lacks        []Lack  `json:"lacks"`
	// Reservations are pages that no guest may take.
	Reservations []ledger.Reservation `json:"reservations,omitempty"`
	// Move is the fewest guests without which the others fit.
	Move     []string  `json:"move"`
	Settings []Setting `json:"settings"`
	Nodes    []Node    `json:"nodes"`
	Memory   Memory    `json:"memory"`
}

// Guest is what becomes of one guest.
type Guest struct {
	Name        string        `json:"name"`
	UUID        string        `json:"uuid"`
	Runs        bool          `json:"runs"` // now
	Fits        bool          `json:"fits"`
	Why         string        `json:"why"`               // it does not fit
	Warning     string        `json:"warning,omitempty"` // what may keep it from starting all the same
	Totals      []pages.Total `json:"totals"`
	InsteadOf   []pages.Total `json:"instead_of,omitempty"` // that its XML asks for, where vmhuge start puts it on others
	PlainKiB    int64         `json:"plain_kib"`            // of its RAM on small pages
	OverheadKiB int64         `json:"overhead_kib"`         // of QEMU itself
	LaterKiB    int64         `json:"later_kib"`            // that virtio-mem devices take when the guest runs
}

// Need is what the guests need together of one page size in one place.
type Need struct {
	PageSize  pages.Size `json:"page_size_kib"`
	HostNodes string     `json:"host_nodes"` // "": any node
	Binding   string     `json:"binding"`    // strict, cpuset, or any
	Pages     int64      `json:"pages"`
	MemoryKiB int64      `json:"memory_kib"`
}

// Lack is what the host has too little, were all guests to start.
type Lack struct {
	Node int   `json:"node"` // -1: the host as a whole
	KiB  int64 `json:"kib"`
}

// Setting is a setting that reserves, at boot or now, what the guests that
// fit have.
type Setting struct {
	Kind string `json:"kind"` // kernel: its command line; sysctl; command
	Text string `json:"text"`
}

// Node is a node once all that fit have started.
type Node struct {
	Node        int   `json:"node"`
	TotalKiB    int64 `json:"total_kib"`
	UsedKiB     int64 `json:"used_kib"`     // of pages that are in use now
	PlannedKiB  int64 `json:"planned_kib"`  // of pages that the guests take
	SpareKiB    int64 `json:"spare_kib"`    // of pages that stay free
	OrdinaryKiB int64 `json:"ordinary_kib"` // not in any pool
}

// Memory is the host's memory against the guests'.
type Memory struct {
	TotalKiB       int64 `json:"total_kib"`
	ReserveKiB     int64 `json:"reserve_kib"`        // that the host keeps
	HeadroomKiB    int64 `json:"headroom_kib"`       // that the pools may grow now
	LeftKiB        int64 `json:"left_kib"`           // and once all that fit have started
	AreaKiB        int64 `json:"area_kib,omitempty"` // that the kernel keeps for pages of 1 GiB on demand
	GuestsKiB      int64 `json:"guests_kib"`         // the RAM of all guests
	ReservedKiB    int64 `json:"reserved_kib"`       // of it on reserved pages
	PlainKiB       int64 `json:"plain_kib"`          // of it on small pages
	OverheadKiB    int64 `json:"overhead_kib"`       // of QEMU itself, besides
	BalloonKiB     int64 `json:"balloon_kib"`        // that balloons may take of the plain RAM
	BalloonLostKiB int64 `json:"balloon_lost_kib"`   // that they could have taken of the reserved
	KSMKiB         int64 `json:"ksm_kib"`            // that KSM saves now
	SwapKiB        int64 `json:"swap_kib"`           // there is
	SwapFreeKiB    int64 `json:"swap_free_kib"`
	SwapWantedKiB  int64 `json:"swap_wanted_kib"` // recommended
}

// swapBase is the swap that a host should have for itself: "the operating
// system requires a maximum of 4GB of memory along with a minimum of 4GB of swap
// space" (Red Hat's Virtualization Administration Guide, Overcommitting with
// KVM). What guests on small pages may want beyond the memory comes on top.
const swapBase = 4 * pages.GiB

// Make has guests start in the order given, on paper. The host keeps reserve
// bytes of ordinary memory; 0: the rule's.
func Make(h host.Host, guests []hostprep.Candidate, reserve int64) (Plan, error) {
	before, err := rehearse(h, reserve)
	if err != nil {
		return Plan{}, err
	}
	swap, err := h.Swap()
	if err != nil {
		return Plan{}, err
	}
	ksm, err := h.KSM()
	if err != nil {
		return Plan{}, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return Plan{}, err
	}
	guests, insteadOf := before.fallBack(guests)
	plan := Plan{Needs: newNeeds(guests), Lacks: before.allLacks(guests)}
	if plan.Reservations, err = ledger.ReadReservations(h.Root); err != nil {
		return Plan{}, err
	}
	whys := before.startAll(guests)
	for i, c := range guests {
		g := Guest{Name: c.Name, UUID: c.UUID, Runs: c.Runs, Fits: whys[i] == "", Why: whys[i],
			Totals: c.Demand.Totals(), PlainKiB: c.Plain() / pages.KiB, OverheadKiB: c.Overhead(before.small) / pages.KiB}
		g.InsteadOf = insteadOf[i]
		for _, item := range c.Demand.Items {
			g.LaterKiB += item.LaterPages * item.PageSize.KiB()
		}
		if g.Warning, err = warning(h, c); err != nil {
			return Plan{}, err
		}
		if !g.Fits && plan.FirstFailure == "" {
			plan.FirstFailure = c.Name
		}
		plan.Guests = append(plan.Guests, g)
	}
	plan.Fits = plan.FirstFailure == ""
	moved := before.move(guests)
	after, stay := before.clone(), []hostprep.Candidate{}
	for i, c := range guests {
		if slices.Contains(moved, i) {
			plan.Move = append(plan.Move, c.Name)
			continue
		}
		stay = append(stay, c)
		after.start(c, false)
	}
	defaultSize := mem.HugePageSize
	if next, err := boot.NextDefault(h); err == nil && next != nil {
		defaultSize = 0 // a setting that counts pages of it would mean others after the next boot
	}
	kernel, err := boot.ReadKernel(h)
	if err != nil {
		return Plan{}, err
	}
	plan.Settings = after.settings(h.Root, kernel, stay, defaultSize)
	plan.Nodes = planNodes(before, after)
	plan.Memory = newMemory(before, after, guests, moved)
	if kernel.HasArea() {
		plan.Memory.AreaKiB = mem.CMA.TotalKiB
	}
	plan.Memory.SwapKiB, plan.Memory.SwapFreeKiB = swap.Total/pages.KiB, (swap.Total-swap.Used)/pages.KiB
	plan.Memory.KSMKiB = ksm.Sharing * before.small.KiB()
	return plan, nil
}

// warning says what no count of pages shows; "": nothing.
func warning(h host.Host, c hostprep.Candidate) (string, error) {
	for _, list := range hostprep.BoundNodes(c.Demand) {
		nodes, err := pages.ParseNodesOrNone(list)
		if err != nil || c.Runs || c.Demand.Auto {
			return "", err
		}
		if without, err := h.WithoutCPUs(nodes); err != nil || without {
			return hostprep.WithoutCPUs(list), err
		}
	}
	return "", nil
}

// fallBack puts guests whose pages are short in their turn on those that vmhuge start then
// takes, and returns beside each the pages that its XML asks for.
func (r rehearsal) fallBack(guests []hostprep.Candidate) (settled []hostprep.Candidate, insteadOf [][]pages.Total) {
	r = r.clone()
	for _, c := range guests {
		var asked []pages.Total
		if why := r.start(c, false); why != "" && c.Instead != nil && r.start(*c.Instead, false) == "" {
			asked, c = c.Demand.Totals(), *c.Instead
		}
		settled, insteadOf = append(settled, c), append(insteadOf, asked)
	}
	return settled, insteadOf
}

// startAll has all guests start in turn, and says of each why it would not.
func (r rehearsal) startAll(guests []hostprep.Candidate) []string {
	r = r.clone()
	var whys []string
	for _, c := range guests {
		whys = append(whys, r.start(c, false))
	}
	return whys
}

// allLacks is what is missing when all guests start whether they fit or not.
func (r rehearsal) allLacks(guests []hostprep.Candidate) []Lack {
	r = r.clone()
	for _, c := range guests {
		r.start(c, true)
	}
	left := min(r.ordinary(), r.commit.Left())
	var lacks []Lack
	add := func(node int, bytes int64) {
		if bytes > 0 {
			lacks = append(lacks, Lack{node, (bytes + pages.KiB - 1) / pages.KiB})
		}
	}
	add(-1, -left)
	for _, n := range r.nodes {
		if len(r.nodes) > 1 {
			add(n.ID, pool.NodeReserve(r.reserve, len(r.nodes))-n.Free-n.Cache)
		}
	}
	return lacks
}

// mostRehearsals bounds the search for the fewest guests to move: 16 guests are
// searched whole.
const mostRehearsals = 1 << 16

// move returns the places of the fewest guests without which the others fit;
// of as few, those with the least memory. Among very many guests they are those
// that do not fit in their turn.
func (r rehearsal) move(guests []hostprep.Candidate) []int {
	var inTurn, may []int
	for i, why := range r.startAll(guests) {
		if why != "" {
			inTurn = append(inTurn, i)
		}
		if !guests[i].Runs {
			may = append(may, i)
		}
	}
	best, tried := inTurn, 0
	size := func(set []int) (kib int64) {
		for _, i := range set {
			kib += guests[i].Traits.MemoryKiB
		}
		return kib
	}
	// without tries every set of n guests that begins with set.
	var without func(set []int, from, n int) bool
	without = func(set []int, from, n int) (found bool) {
		if n == 0 {
			tried++
			var stay []hostprep.Candidate
			for i, c := range guests {
				if !slices.Contains(set, i) {
					stay = append(stay, c)
				}
			}
			fits := !slices.ContainsFunc(r.startAll(stay), func(why string) bool { return why != "" })
			if fits && (len(set) < len(best) || size(set) < size(best)) {
				best = slices.Clone(set)
			}
			return fits
		}
		for at := from; at <= len(may)-n && tried < mostRehearsals; at++ {
			found = without(append(slices.Clip(set), may[at]), at+1, n-1) || found
		}
		return found
	}
	for n := 1; n <= len(inTurn) && tried < mostRehearsals; n++ {
		if without(nil, 0, n) {
			break
		}
	}
	return best
}

// newNeeds adds up the demands by page size and place.
func newNeeds(guests []hostprep.Candidate) []Need {
	var needs []Need
	for _, c := range guests {
		cpuset, _ := pages.ParseNodesOrNone(c.Demand.CPUSetNodes)
		for _, item := range c.Demand.Items {
			need := Need{PageSize: item.PageSize, Binding: "any"}
			if bound := hostprep.BoundTo(item, cpuset); bound != nil {
				need.Binding, need.HostNodes = "strict", pages.FormatNodes(bound)
			} else if cpuset != nil {
				need.Binding, need.HostNodes = "cpuset", c.Demand.CPUSetNodes
			}
			i := slices.IndexFunc(needs, func(n Need) bool {
				return n.PageSize == need.PageSize && n.Binding == need.Binding && n.HostNodes == need.HostNodes
			})
			if i < 0 {
				i, needs = len(needs), append(needs, need)
			}
			needs[i].Pages += max(0, item.Pages)
			needs[i].MemoryKiB += item.MemoryKiB
		}
	}
	slices.SortStableFunc(needs, func(a, b Need) int {
		return cmp.Or(cmp.Compare(a.PageSize, b.PageSize), cmp.Compare(a.HostNodes, b.HostNodes))
	})
	return needs
}

func planNodes(before, after rehearsal) []Node {
	var nodes []Node
	for _, n := range after.nodes {
		if len(after.nodes) == 1 {
			n.Total = after.total // memory that was plugged in may not be in the node's own count
		}
		node := Node{Node: n.ID, TotalKiB: n.Total / pages.KiB, OrdinaryKiB: n.Total / pages.KiB}
		for _, p := range after.state.Pools {
			if p.Node != n.ID {
				continue
			}
			was, _ := before.state.Pool(p.Node, p.Size)
			used := was.Total - was.Free
			node.UsedKiB += used * p.Size.KiB()
			node.PlannedKiB += (p.Total - p.Free - used) * p.Size.KiB()
			node.SpareKiB += p.Free * p.Size.KiB()
			node.OrdinaryKiB -= p.Total * p.Size.KiB()
		}
		nodes = append(nodes, node)
	}
	return nodes
}

func newMemory(before, after rehearsal, guests []hostprep.Candidate, moved []int) Memory {
	m := Memory{TotalKiB: before.total / pages.KiB, ReserveKiB: before.reserve / pages.KiB,
		HeadroomKiB: before.headroom() / pages.KiB, LeftKiB: after.headroom() / pages.KiB}
	for _, c := range guests {
		plain := c.Plain() / pages.KiB
		m.GuestsKiB += c.Traits.MemoryKiB
		m.PlainKiB += plain
		m.ReservedKiB += c.Traits.MemoryKiB - plain
		m.OverheadKiB += c.Overhead(before.small) / pages.KiB
		if gives := c.Traits.MemoryKiB - c.Traits.CurrentKiB; c.Traits.Balloon && plain > 0 {
			m.BalloonKiB += min(gives, plain)
		} else if c.Traits.Balloon {
			m.BalloonLostKiB += gives
		}
	}
	beyond := -max(0, after.ordinary())
	for _, i := range moved {
		if guests[i].Plain() > 0 {
			beyond += guests[i].Plain() + guests[i].Overhead(before.small)
		}
	}
	m.SwapWantedKiB = (swapBase + max(0, beyond)) / pages.KiB
	return m
}
