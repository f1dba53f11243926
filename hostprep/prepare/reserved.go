package prepare

import (
	"context"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/hold"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Reservation is a change of what is reserved for a program.
type Reservation struct {
	For string `json:"for"`
	pool.Take
	Was int64 `json:"was"` // pages reserved for it there before
}

func (r Reservation) String() string {
	if r.Pages == 0 {
		r.Pages = r.Was
		return "end the reservation of " + r.words()
	}
	return "reserve " + r.words()
}

func (r Reservation) words() string { return ledger.Reservation{For: r.For, Take: r.Take}.String() }

// reservation is the change that a preparation asks for; nil: it asks for none, or it is so
// already.
func (p Options) reservation(h host.Host) (*Reservation, error) {
	if p.For == "" {
		return nil, nil
	}
	old, err := ledger.ReadReservations(h.Root)
	if err != nil {
		return nil, err
	}
	r := Reservation{For: p.For, Take: p.take()}
	for _, o := range old {
		if o.For == r.For && o.At(r.Take) {
			r.Was = o.Pages
		}
	}
	if r.Was == r.Pages {
		return nil, nil
	}
	return &r, nil
}

// take is what is to be reserved.
func (p Options) take() pool.Take {
	return pool.Take{Nodes: p.Pages[0].Nodes, Size: p.Pages[0].Size, Pages: p.Pages[0].Pages}
}

// lacksReserved lists what the pools lack for a reservation, beside what guests that start
// and other programs are to have.
func (p Options) lacksReserved(h host.Host, state pool.State) ([]pool.Need, error) {
	own, others, err := ledger.ReadReservedWith(h.Root, p.For, p.take())
	if err != nil {
		return nil, err
	}
	program := holder(own)
	for _, g := range p.inTurn() {
		for _, take := range hostprep.TakesOf(g.Demand) {
			others = append(others, pool.Pending{Take: take, Unmapped: take.Pages, Unfaulted: take.Pages})
		}
	}
	program.Pending = others
	return capacity.Shortfall(state, program), nil
}

// holder is a program that is yet to take what is held back for it, as a guest.
func holder(held []pool.Pending) hostprep.Guest {
	var d pages.Demand
	for _, p := range held {
		n := p.Unmapped
		if len(p.Nodes) > 0 { // the kernel does not say on which node it has promised pages
			n = p.Unfaulted
		}
		d.Items = append(d.Items, pages.Item{GuestNode: -1, PageSize: p.Size, Pages: n, MemoryKiB: n * p.Size.KiB(),
			Source: "memfd", HostNodes: pages.FormatNodes(p.Nodes), Mode: pages.Strict})
	}
	return hostprep.NewGuest(d, pages.Traits{}, hostprep.NoStarter(), hostprep.UnknownIDs(), hostprep.Unasked())
}

// reserve records what is reserved for a program, and adds the pages that are missing for
// it. Without them it records nothing.
func reserve(ctx context.Context, h host.Host, book *ledger.Ledger, p Options, effort pool.Effort) ([]change.Change, *hostprep.Finding, error) {
	old := book.Reserved(p.For)
	if err := book.Reserve(p.For, ledger.WithTake(old, p.take())); err != nil {
		return nil, nil, err
	}
	changed, refusal, err := hold.Grow(ctx, h, book, ledger.ReservedUUID(p.For), holder(book.HeldBack(p.For)), hold.Options{Reserve: p.Reserve, Effort: effort})
	if refusal != nil || err != nil {
		if undone := book.Reserve(p.For, old); err == nil {
			err = undone
		}
	}
	return changed, refusal, err
}
