package hold

import (
	"context"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/internal/advice"
)

// Resize begins a change of a running guest's memory, and gets the pages by which it grows: the
// demand of guest is those alone. Without a finding and an error libvirt may be asked for the
// change, and then ledger.Ledger.EndResize must be; else the guest's claim is as it was.
func Resize(ctx context.Context, h host.Host, book *ledger.Ledger, r ledger.Resize, guest hostprep.Guest, o Options) ([]change.Change, *hostprep.Finding, error) {
	uuid := guest.Demand.UUID
	if err := book.Trim(uuid); err != nil { // what has left it is not to come
		return nil, nil, err
	}
	r.Nodes = hostprep.TakeOf(guest.Demand, guest.Demand.Items[0]).Nodes
	o.Beside = append(o.Beside, book.Beside(uuid, r)...) // which Grow leaves out as the guest's own
	if err := book.BeginResize(uuid, guest.Demand.Domain, r); err != nil {
		return nil, nil, err
	}
	var (
		changed []change.Change
		refusal *hostprep.Finding
		err     error
	)
	if r.Pages > 0 {
		changed, refusal, err = Grow(ctx, h, book, uuid, guest, o)
	}
	if refusal == nil && err == nil {
		if err = book.AskResize(uuid); err == nil {
			return changed, nil, nil
		}
	}
	if _, _, ended := book.EndResizeBy(uuid, 0); ended != nil { // all is not as before
		err = advice.Wrap(ended, "freeing the pages of a growth that failed", "vmhuge status shows it, and the next run tries again")
	}
	return nil, refusal, err
}
