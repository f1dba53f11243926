package launcher

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hostpage"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// Status is the host's pools and who holds what.
type Status struct {
	Pools  []PoolStatus `json:"pools"`
	Mounts []host.Mount `json:"mounts"`
	// Reservations are pages that no guest may take.
	Reservations []ledger.Reservation `json:"reservations,omitempty"`
	Domains      []DomainStatus       `json:"domains"`
	Hook         hook.Status          `json:"hook"`
	THP          host.THP             `json:"thp"`
	// CMA is nil if the kernel keeps no areas for pages of 1 GiB on demand. It counts those
	// for other uses (cma=) as well.
	CMA *host.CMA `json:"cma,omitempty"`
	// Settled is what was given back just now for guests that are gone, SetAside
	// are sentences about claims that could not be read. Both are Settle's.
	Settled  []ledger.Settlement `json:"settled"`
	SetAside []string            `json:"set_aside,omitempty"`
	// LeftBehind is what has not been given back yet.
	LeftBehind []LeftBehind `json:"left_behind,omitempty"`
	// HeadroomKiB is how much the pools may still grow with the host keeping ReserveKiB.
	HeadroomKiB int64 `json:"-"`
	ReserveKiB  int64 `json:"-"`
	// Notes is who but guests holds pages, and which nobody uses. It costs a look at
	// every process, so that only who shows it asks hostpage.PoolNotes.
	Notes []hostpage.Fact `json:"notes,omitempty"`
}

// LeftBehind is what the pools still have of a guest that is gone.
type LeftBehind struct {
	UUID  string `json:"uuid"`
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// PoolStatus is the pool of one page size on one node, in pages. Node -1 is
// the sum over the nodes: the kernel counts what is reserved only there.
type PoolStatus struct {
	pool.Pool
	Reserved int64 `json:"reserved"`
	HeldByUs int64 `json:"held_by_us"` // added by vmhuge for a guest
	// CouldMake is nil where the kernel does not tell.
	*hostprep.CouldMake
}

// DomainStatus is a guest and its backing.
type DomainStatus struct {
	Name    string        `json:"name"`
	UUID    string        `json:"uuid"`
	State   State         `json:"state"`
	Active  bool          `json:"-"` // a QEMU process stands behind it
	RAMKiB  int64         `json:"ram_kib"`
	Backing pages.Backing `json:"backing"` // of its next start
	Totals  []pages.Total `json:"totals"`
	// Proof is how the memory lies of one that runs and asks for huge pages or
	// holds some; ProofUnknown is why that can't be told.
	Proof        *proof.Proof `json:"proof,omitempty"`
	ProofUnknown string       `json:"proof_unknown,omitempty"`
	Phase        ledger.Phase `json:"claim,omitempty"` // of its claim in the ledger
	// GivenBackBy says who gives back what was added for it: kernel, where the
	// pages leave with QEMU, hook, or vmhuge, whose next run does.
	GivenBackBy string `json:"given_back_by,omitempty"`
	// AtLeast is how many percent of its RAM in use must be on transparent huge pages once it
	// runs; 0: as they come.
	AtLeast float64 `json:"at_least_percent,omitempty"`
	// IfShort is what vmhuge start puts it on where the host has too few of its pages.
	IfShort pages.IfShort `json:"if_short,omitempty"`
	// Cautions are sentences on what keeps its memory from being what its XML seems
	// to say.
	Cautions []string `json:"cautions,omitempty"`
}

// busy is how long Settle waits for whoever changes the pools.
const busy = time.Second

// Settle gives back, as root, what guests hold that are gone. Who follows a host does not do
// so: libvirt calls the hook for a guest that has just ended, which is to find its claim.
func Settle(host host.Host) (settled []ledger.Settlement, setAside []string) {
	if os.Geteuid() == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), busy)
		defer cancel()
		// Should that fail, the claims are still shown as they stand.
		settled, setAside, _ = ledger.Settle(ctx, host.Root)
	}
	return settled, setAside
}

// ReadHostStatus reads what needs no libvirt, and changes nothing.
func ReadHostStatus(host host.Host) (Status, error) {
	s := Status{Settled: []ledger.Settlement{}}
	host = host.EnsureSnapshot()
	state, err := host.Pools()
	if err != nil {
		return s, err
	}
	claims, err := ledger.ReadClaims(host.Root)
	if err != nil {
		return s, err
	}
	s.Reservations = ledger.Reservations(host.Root, claims)
	s.LeftBehind = leftBehind(claims)
	headroom, reserve, err := capacity.Headroom(host, 0)
	if err != nil {
		return s, err
	}
	s.HeadroomKiB, s.ReserveKiB = headroom, reserve/pages.KiB
	growth, growthErr := capacity.ReadGrowth(host, headroom, reserve)
	could := func(size pages.Size, nodes ...int) *hostprep.CouldMake {
		if growthErr != nil {
			return nil
		}
		c := growth.On(size, nodes)
		return &c
	}
	for _, g := range state.Globals {
		sum := PoolStatus{Pool: pool.Pool{Node: -1, Size: g.Size, Total: g.Total, Free: g.Free, Surplus: g.Surplus}, Reserved: g.Reserved, CouldMake: could(g.Size)}
		nodes := state.Nodes(g.Size)
		for _, node := range nodes {
			p, _ := state.Pool(node, g.Size)
			one := PoolStatus{Pool: p, HeldByUs: held(claims, node, g.Size), CouldMake: could(g.Size, node)}
			sum.HeldByUs += one.HeldByUs
			if len(nodes) == 1 {
				one.Reserved = g.Reserved
			}
			s.Pools = append(s.Pools, one)
		}
		if len(nodes) > 1 {
			s.Pools = append(s.Pools, sum)
		}
	}
	slices.SortStableFunc(s.Pools, func(a, b PoolStatus) int { return cmp.Compare(a.Node, b.Node) })
	s.Mounts, err = host.Mounts()
	if err != nil {
		return s, err
	}
	if s.Hook, err = hook.ReadStatus(host); err != nil { // the pools are still shown
		unread := hostprep.CouldNotTell(err)
		unread.Check = hook.CheckName
		s.Hook.Findings = append(s.Hook.Findings, unread)
	}
	if s.THP, err = host.THP(); err != nil {
		return s, err
	}
	s.CMA, err = host.Areas()
	return s, err
}

func leftBehind(claims []ledger.Claim) (left []LeftBehind) {
	for _, c := range claims {
		var bytes int64
		for _, g := range c.Grants {
			bytes += g.Pages * int64(g.Size)
		}
		if c.Phase == ledger.Owed && bytes > 0 {
			left = append(left, LeftBehind{UUID: c.UUID, Name: c.Name, Bytes: bytes})
		}
	}
	return left
}

func held(claims []ledger.Claim, node int, size pages.Size) int64 {
	var sum int64
	for _, c := range claims {
		for _, g := range slices.Concat(c.Grants, c.Armed) {
			if g.Node == node && g.Size == size {
				sum += g.Pages
			}
		}
	}
	return sum
}

// Status adds the domains of libvirt to the status of the host: those named,
// or all.
func (l *Launcher) Status(names []string) (Status, error) {
	if err := l.needHost("reading the status"); err != nil {
		return Status{}, err
	}
	s, err := ReadHostStatus(l.host)
	if err != nil {
		return s, err
	}
	s.Domains, err = l.Guests(names, s.Hook)
	return s, err
}

// Guests reads the domains of libvirt: those named, or all by name. The error
// names those that are unknown; the others are still there.
func (l *Launcher) Guests(names []string, hook hook.Status) ([]DomainStatus, error) {
	if err := l.needHost("looking at the guests"); err != nil {
		return nil, err
	}
	// Of one, libvirt is asked alone.
	if len(names) != 1 {
		once, err := l.surveyed()
		if err != nil {
			return nil, err
		}
		l = once
	}
	domains, unknown := l.domains(names)
	defer func() {
		for _, d := range domains {
			_ = d.Free()
		}
	}()
	if len(domains) == 0 {
		return nil, unknown
	}
	claims, err := ledger.ReadClaims(l.host.Root)
	if err != nil {
		return nil, err
	}
	running, err := process.FindGuests(l.host.Root)
	if err != nil {
		return nil, err
	}
	ram := map[string]int64{}
	if l.survey != nil {
		ram = l.ramShutOff()
	}
	var guests []DomainStatus
	for _, d := range domains {
		g := DomainStatus{Name: d.name, UUID: d.uuid, State: d.state, Active: d.state.active(), Backing: pages.None, Cautions: xml.CautionTexts(d.xml)}
		if kib, known := ram[d.uuid]; known {
			g.RAMKiB = kib
		} else if info, err := d.GetInfo(); err == nil {
			g.RAMKiB = int64(info.MaxMem)
		}
		switch demand, err := l.demand(d.xml); {
		case err == nil:
			g.Backing, g.Totals, g.IfShort, g.AtLeast = demand.Backing, demand.Totals(), demand.IfShort, demand.AtLeast
		case errors.Is(err, libvirtd.ErrConf):
			return nil, advice.About(err, "reading the backing of %s", d.name)
		} // else libvirt would refuse its backing, and it has none
		for _, c := range claims {
			if c.UUID == d.uuid {
				g.Phase, g.GivenBackBy = c.Phase, givenBackBy(c, hook)
			}
		}
		if d.state.active() && (g.Backing != pages.None || g.Phase != "") {
			if proof, err := l.prove(d, running); err == nil {
				g.Proof = &proof
			} else {
				g.ProofUnknown = err.Error()
			}
		}
		guests = append(guests, g)
	}
	return guests, unknown
}

// domains finds the domains that are named, or all, which are in the order of
// their names.
func (l *Launcher) domains(names []string) (domains []*domain, unknown error) {
	for _, name := range names {
		if d, err := l.find(name); err == nil {
			domains = append(domains, d)
		} else {
			unknown = errors.Join(unknown, err)
		}
	}
	if len(names) > 0 {
		return domains, unknown
	}
	all, err := l.conn.ListAllDomains(0)
	if err != nil {
		return nil, refused(err, "listing the domains")
	}
	for i := range all {
		if d, err := l.read(&all[i]); err == nil {
			domains = append(domains, d)
		} else { // undefined just now
			_ = all[i].Free()
		}
	}
	slices.SortFunc(domains, func(a, b *domain) int { return cmp.Compare(a.name, b.name) })
	return domains, nil
}

func givenBackBy(c ledger.Claim, hook hook.Status) string {
	switch {
	case len(c.Grants) > 0 && hook.Ready:
		return "hook"
	case len(c.Grants) > 0:
		return "vmhuge"
	case len(c.Armed) > 0:
		return "kernel"
	}
	return ""
}
