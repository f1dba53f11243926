package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// Pages can be reserved for programs that are no guests: OVS-DPDK, SPDK, databases. The
// kernel knows nothing of that; it is vmhuge that leaves them to these programs when it
// gets pages for a guest.
//
// How many it leaves: those reserved, less what such programs have already. That is what
// the kernel counts as used or promised, less what the running guests have of it. It is not
// asked which program has which page: one that shares a guest's memory, as vhost-user does,
// has all of it mapped, and a page that two processes map would count twice. So what any
// program other than a guest has is taken off.

// Reservation is pages that no guest may take.
type Reservation struct {
	For string `json:"for"` // the program, as the user calls it
	pool.Take
	// HeldBack are those that no program but guests has in use yet, so that as many free
	// pages are kept from guests.
	HeldBack int64 `json:"held_back"`
	// Kept says that they stay for a guest that has ended, Seconds for how long still; 0: always.
	Kept    bool   `json:"kept,omitempty"`
	Seconds int64  `json:"seconds,omitempty"`
	UUID    string `json:"uuid,omitempty"` // of that guest, or of the one that may grow
}

// Words are the reservation, and what of it is held back.
func (r Reservation) Words() string {
	switch {
	case r.Kept && r.Seconds > 0:
		return fmt.Sprintf("%s while it does not run, for another %s", r, time.Duration(r.Seconds)*time.Second)
	case r.Kept:
		return fmt.Sprintf("%s while it does not run", r)
	case r.Growth:
		return r.String() + ", by which it can grow"
	}
	return fmt.Sprintf("%s, %d of them held back from guests", r, r.HeldBack)
}

// Title says what is done with the pages: they are reserved, or kept.
func (r Reservation) Title() string {
	if r.Kept {
		return "kept"
	}
	return "reserved"
}

func (r Reservation) String() string {
	text := pages.Count(r.Pages, r.Size)
	if r.Nodes != nil {
		text += " on node " + pages.FormatNodes(r.Nodes)
	}
	return text + " for " + r.For
}

// ReservedUUID names the claim of what is reserved for a program.
func ReservedUUID(program string) string {
	sum := sha256.Sum256([]byte("vmhuge reservation\x00" + program))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// Reserve records all that is reserved for a program; nothing ends its reservation. It adds
// no pages and frees none: those are prepared ones.
func (l *Ledger) Reserve(program string, takes []pool.Take) error {
	c := Claim{UUID: ReservedUUID(program), Name: program, Phase: Reserved, Takes: takes}
	switch i := l.index(c.UUID); {
	case i < 0 && len(takes) == 0:
		return nil
	case i < 0:
		if err := l.write(c); err != nil {
			return err
		}
		l.claims = append(l.claims, c)
		return nil
	case len(takes) == 0:
		return l.remove(i)
	default:
		old, err := l.load(i)
		if errors.Is(err, errUnusable) {
			return l.Reserve(program, takes)
		}
		if err != nil {
			return err
		}
		c.More = old.More
		return l.save(i, c)
	}
}

// Reserved is all that is reserved for a program.
func (l *Ledger) Reserved(program string) []pool.Take { return reservedFor(l.claims, program) }

func reservedFor(claims []Claim, program string) []pool.Take {
	for _, c := range claims {
		if c.UUID == ReservedUUID(program) {
			return slices.Clone(c.Takes)
		}
	}
	return nil
}

// WithTake returns takes in which that of the same nodes and size is another one; of 0
// pages: none.
func WithTake(takes []pool.Take, take pool.Take) []pool.Take {
	takes = slices.DeleteFunc(slices.Clone(takes), take.At)
	if take.Pages > 0 {
		takes = append(takes, take)
	}
	return takes
}

// ReadReservations reads, without the lock, what is reserved.
func ReadReservations(root hostfs.Root) ([]Reservation, error) {
	claims, err := ReadClaims(root)
	return Reservations(root, claims), err
}

// ReadReservedWith is what would be held back for a program, and what other claims will
// take, if the program had these pages reserved as well; see WithTake.
func ReadReservedWith(root hostfs.Root, program string, take pool.Take) (own, others []pool.Pending, err error) {
	claims, err := ReadClaims(root)
	uuid := ReservedUUID(program)
	takes := WithTake(reservedFor(claims, program), take)
	claims = slices.DeleteFunc(claims, func(c Claim) bool { return c.UUID == uuid })
	others = pendingOf(root, claims, "")
	claims = append(claims, Claim{UUID: uuid, Name: program, Phase: Reserved, Takes: takes})
	return heldBack(root, claims)[uuid], others, err
}

// HeldBack is what is held back for a program now.
func (l *Ledger) HeldBack(program string) []pool.Pending {
	return heldBack(l.root, l.claims)[ReservedUUID(program)]
}

// Reservations is what claims reserve.
func Reservations(root hostfs.Root, claims []Claim) (all []Reservation) {
	held := heldBack(root, claims)
	for _, c := range claims {
		if c.Phase == Kept {
			for _, take := range c.Takes {
				r := Reservation{For: c.Name, Take: take, HeldBack: take.Pages, Kept: true, UUID: c.UUID}
				if c.Until > 0 {
					r.Seconds = max(1, c.Until-uptime())
				}
				all = append(all, r)
			}
		}
		if c.Phase == Starting {
			for _, p := range pendingOf(root, []Claim{c}, "") {
				if p.Growth && p.Unmapped > 0 {
					p.Pages = p.Unmapped
					all = append(all, Reservation{For: c.Name, Take: p.Take, HeldBack: p.Unmapped, UUID: c.UUID})
				}
			}
		}
		if c.Phase != Reserved {
			continue
		}
		for _, take := range c.Takes {
			r := Reservation{For: c.Name, Take: take}
			for _, p := range held[c.UUID] {
				if p.At(take) {
					r.HeldBack = p.Unfaulted
				}
			}
			all = append(all, r)
		}
	}
	return all
}

// heldBack is what reservations keep from guests, by the UUIDs of their claims. If it can't
// be told what the guests have, it is all that is reserved.
func heldBack(root hostfs.Root, claims []Claim) map[string][]pool.Pending {
	if !slices.ContainsFunc(claims, func(c Claim) bool { return c.Phase == Reserved }) {
		return nil
	}
	others := othersUse(root, claims)
	held := map[string][]pool.Pending{}
	// What may come from few nodes goes first: the rest take what is left.
	for _, bound := range []bool{true, false} {
		for _, c := range claims {
			for _, take := range c.Takes {
				if c.Phase != Reserved || (len(take.Nodes) > 0) != bound {
					continue
				}
				faulted := others.spend(take)
				promised := min(take.Pages-faulted, max(0, others.promised[take.Size]))
				others.promised[take.Size] -= promised
				if rest := take.Pages - faulted; rest > 0 {
					held[c.UUID] = append(held[c.UUID], pool.Pending{Take: take, Unmapped: rest - promised, Unfaulted: rest, For: c.Name})
				}
			}
		}
	}
	return held
}

// place is a pool by node and size.
type place struct {
	node int
	size pages.Size
}

// use is what programs other than guests have of the pools, in pages.
type use struct {
	used     map[place]int64
	promised map[pages.Size]int64 // and have mapped, but not in use yet
}

// spend takes what a reservation's program has off the rest, and returns how many pages
// that is.
func (u use) spend(take pool.Take) (n int64) {
	for at, used := range u.used {
		if at.size == take.Size && (len(take.Nodes) == 0 || slices.Contains(take.Nodes, at.node)) {
			part := max(0, min(used, take.Pages-n))
			u.used[at] -= part
			n += part
		}
	}
	return n
}

// othersUse finds out what programs other than guests have; nothing if that can't be told.
// The pools are read before the guests, so that what a guest takes meanwhile is not held to
// be another program's.
func othersUse(root hostfs.Root, claims []Claim) use {
	none := use{used: map[place]int64{}, promised: map[pages.Size]int64{}}
	state, err := pool.Read(root)
	if err != nil {
		return none
	}
	pids, err := guestProcesses(root, claims)
	if err != nil {
		return none
	}
	u := use{used: map[place]int64{}, promised: map[pages.Size]int64{}}
	for _, p := range state.Pools {
		u.used[place{p.Node, p.Size}] = p.Total - p.Free
	}
	for _, g := range state.Globals {
		u.promised[g.Size] = g.Reserved
	}
	for _, pid := range pids {
		mapped, faulted, err := process.Hugetlb(root, pid)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return none
		}
		for size, n := range mapped {
			u.promised[size] -= n - faulted[size]
		}
		on, err := hugetlbByNode(root, state, pid, faulted)
		if err != nil {
			return none
		}
		for at, n := range on {
			u.used[at] -= n
		}
	}
	return u
}

// guestProcesses are those that have the guests' pages. A guest of which the ledger knows
// nothing and that has none is left out: the kernel counts small pages for a long time.
func guestProcesses(root hostfs.Root, claims []Claim) ([]int, error) {
	guests := process.NewGuests(root)
	running, err := guests.All()
	if err != nil {
		return nil, err
	}
	pids := map[int]bool{}
	for _, p := range running {
		status, err := root.Read("proc", strconv.Itoa(p.PID), "status")
		kib, unknown := hostfs.StatusHugetlb(status)
		pids[p.PID] = err != nil || unknown != nil || kib > 0
	}
	for _, c := range claims {
		if c.Phase != Starting && c.Phase != InUse {
			continue
		}
		pid, held := guests.Find(c.guest())
		if held {
			return nil, hostfs.ErrHeld
		}
		if pid == 0 { // the pages of vmhuge bench are its own
			pid = c.Owner.PID
		}
		pids[pid] = true
	}
	delete(pids, 0)
	var all []int
	for pid, may := range pids {
		if may {
			all = append(all, pid)
		}
	}
	return all, nil
}

// hugetlbByNode says where the pages lie that a process has. On a host with one node that is
// known.
func hugetlbByNode(root hostfs.Root, state pool.State, pid int, faulted map[pages.Size]int64) (map[place]int64, error) {
	on := map[place]int64{}
	several := false
	for size, n := range faulted {
		nodes := state.Nodes(size)
		several = several || n > 0 && len(nodes) > 1
		if len(nodes) == 1 {
			on[place{nodes[0], size}] = n
		}
	}
	if !several {
		return on, nil
	}
	text, err := root.ReadProcess(pid, "numa_maps")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	on = map[place]int64{}
	for _, m := range smaps.ParseNUMA(text) {
		for node, n := range m.Pages {
			on[place{node, pages.SizeOfKiB(m.PageKiB)}] += n
		}
	}
	return on, nil
}
