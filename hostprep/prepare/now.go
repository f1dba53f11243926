package prepare

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/hold"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// inTurn returns the guests of a preparation, each with the pages that those before it
// take as pending, because all of them are to start.
func (p Options) inTurn() []hostprep.Guest {
	if p.Overcommit {
		return nil
	}
	guests := slices.Clone(p.Guests)
	var before []pool.Pending
	for i := range guests {
		guests[i].Pending = slices.Concat(guests[i].Pending, before)
		for _, take := range hostprep.TakesOf(guests[i].Demand) {
			before = append(before, pool.Pending{Take: take, Unmapped: take.Pages, Unfaulted: take.Pages})
		}
	}
	return guests
}

// lack is what a preparation would add to the pools now, and for whom.
type lack struct {
	guest string // or whatever else lacks them; "": the pool, for no one
	pool.Need
	even bool // that the pages of any node even the pools out
}

// lacks lists what the pools lack to start all guests of a preparation.
func (p Options) lacks(h host.Host, state pool.State) ([]lack, error) {
	var lacks []lack
	for _, g := range p.inTurn() {
		for _, need := range capacity.Shortfall(state, g) {
			lacks = append(lacks, lack{g.Demand.Domain, need, false})
		}
	}
	if p.For != "" {
		needs, err := p.lacksReserved(h, state)
		for _, need := range needs {
			lacks = append(lacks, lack{"the reservation for " + p.For, need, false})
		}
		return lacks, err
	}
	lasting, err := withoutGuests(h, state)
	for _, want := range p.Pages {
		l := lack{"", want, true}
		if l.Pages -= persistent(lasting, want); l.Pages <= 0 {
			continue
		}
		if persistent(state, want) > persistent(lasting, want) {
			l.guest = "the pool, without the pages that leave it with their guests,"
		}
		lacks = append(lacks, l)
	}
	return lacks, err
}

// holdPrepared allocates the pages that a preparation lacks. They stay until vmhuge undo,
// whichever guests use them. What could not be allocated is in the findings.
func holdPrepared(ctx context.Context, h host.Host, book *ledger.Ledger, p Options, effort pool.Effort) (changed []change.Change, findings []hostprep.Finding, err error) {
	held := hold.Options{Reserve: p.Reserve, Effort: effort}
	for i, g := range p.inTurn() {
		held.Beside = g.Pending[len(p.Guests[i].Pending):]
		more, refusal, err := hold.Grow(ctx, h, book, ledger.PreparedUUID, g, held)
		changed = append(changed, more...)
		if err != nil {
			return changed, findings, err
		}
		if refusal != nil {
			refusal.Have = g.Demand.Domain + ": " + refusal.Have
			findings = append(findings, *refusal)
		}
	}
	if p.For != "" {
		more, refusal, err := reserve(ctx, h, book, p, effort)
		if refusal != nil {
			refusal.Have = p.For + ": " + refusal.Have
			findings = append(findings, *refusal)
		}
		return append(changed, more...), findings, err
	}
	if len(p.Pages) > 0 {
		if err := book.Keep(); err != nil {
			return changed, findings, err
		}
	}
	for _, want := range p.Pages {
		state, err := pool.Read(h.Root)
		if err != nil {
			return changed, findings, err
		}
		if state, err = withoutGuests(h, state); err != nil {
			return changed, findings, err
		}
		if want.Pages -= persistent(state, want); want.Pages <= 0 {
			continue
		}
		more, refusal, err := growPrepared(ctx, h, book, want, p.Reserve, effort)
		changed = append(changed, more...)
		if err != nil {
			return changed, findings, err
		}
		if refusal != nil {
			findings = append(findings, *refusal)
		}
	}
	return changed, findings, nil
}

// lacksPages are the findings of what the pools lack for a preparation, and of which of it the
// host could not give: all of one lack or nothing, as holdPrepared has it.
func lacksPages(h host.Host, p Options) ([]hostprep.Finding, error) {
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	nodes, err := h.Nodes()
	if err != nil {
		return nil, err
	}
	lacks, err := p.lacks(h, state)
	if err != nil {
		return nil, err
	}
	if len(lacks) == 0 {
		return nil, nil
	}
	allowance, err := capacity.Allowance(h, ledger.PreparedUUID, p.Reserve)
	if err != nil {
		return nil, err
	}
	rooms, err := capacity.ReadRooms(h, allowance.Reserve)
	if err != nil {
		return nil, err
	}
	growth, unread := capacity.ReadGrowth(h, allowance.HeadroomKiB, allowance.Reserve)
	starts := map[string]bool{} // guests that may start without, by overcommit or from another node
	for _, g := range p.inTurn() {
		starts[g.Demand.Domain] = check.ShortageNow(h, g) == nil
	}
	var findings []hostprep.Finding
	for _, l := range lacks {
		before := maps.Clone(rooms)
		needs, short := rooms.Divide(state, l.Need, l.even)
		if unread == nil && short == nil {
			short = growth.Missing([]pool.Need{l.Need})
		}
		if beyond := capacity.BeyondHeadroom([]pool.Need{l.Need}, allowance); beyond != nil {
			short = beyond
		}
		if short != nil {
			rooms = before
			if !starts[l.guest] {
				findings = append(findings, p.refused(l, short))
			}
			continue
		}
		allowance.HeadroomKiB -= l.Pages * l.Size.KiB()
		var changes []change.Change
		for _, need := range needs {
			changes = append(changes, change.PoolGrowth(h, state, nodes, need)...)
			state = withMore(state, need)
		}
		findings = append(findings, hostprep.Finding{Check: check.Pool.Name, Severity: hostprep.Blocker, Verdict: hostprep.NoMemory, Fixable: true,
			Have: cmp.Or(l.guest, "the pool") + " lacks " + pages.Count(l.Pages, l.Size), Need: "all of them", Changes: changes})
	}
	return findings, nil
}

// refused is the finding of a lack that the host can't give.
func (p Options) refused(l lack, short *pool.Short) hostprep.Finding {
	f := *hold.ShortFinding(short)
	if l.guest != "" && !l.even {
		f.Have = l.guest + ": " + f.Have
	}
	return p.untilReboot(f)
}

// untilReboot is a finding about pages that could not be allocated, and with Persist will be at
// the next boot: impossible has weighed that.
func (p Options) untilReboot(f hostprep.Finding) hostprep.Finding {
	if p.Persist {
		f.Severity, f.Reboot, f.Do = hostprep.Warning, true, "reboot: at boot memory is not fragmented yet"
		if f.Short != nil && f.Short.ByCommit {
			f.Do = "reboot: by its settings for the next boot the kernel may then have them"
		}
		if f.Short != nil && f.Short.Stuck != nil {
			f.Do = f.Short.Stuck.Do() + "; or reboot"
		}
	}
	return f
}

// withMore is a state in which a need of one node has been met.
func withMore(state pool.State, need pool.Need) pool.State {
	state.Pools = slices.Clone(state.Pools)
	for i, p := range state.Pools {
		if p.Size == need.Size && slices.Equal(need.Nodes, []int{p.Node}) {
			state.Pools[i].Total += need.Pages
		}
	}
	return state
}

// withoutGuests returns the pools without what was added for guests that run.
func withoutGuests(h host.Host, state pool.State) (pool.State, error) {
	if !ledger.HasClaims(h.Root) {
		return state, nil
	}
	claims, err := ledger.ReadClaims(h.Root)
	return ledger.WithoutGuests(state, claims), err
}

// persistent is how many pages the pools of a need have without surplus ones.
func persistent(state pool.State, need pool.Need) int64 {
	return inPools(state, need, pool.Pool.Persistent)
}

// inPools adds up a count of the pools of a need.
func inPools(state pool.State, need pool.Need, count func(pool.Pool) int64) (n int64) {
	for _, p := range state.Pools {
		if p.Size == need.Size && (need.Nodes == nil || slices.Contains(need.Nodes, p.Node)) {
			n += count(p)
		}
	}
	return n
}

// growPrepared adds pages until vmhuge undo, or says why it could not.
func growPrepared(ctx context.Context, h host.Host, book *ledger.Ledger, need pool.Need, reserve int64, effort pool.Effort) ([]change.Change, *hostprep.Finding, error) {
	before, err := pool.Read(h.Root)
	if err != nil {
		return nil, nil, err
	}
	allowance, err := capacity.Allowance(h, ledger.PreparedUUID, reserve)
	if err != nil {
		return nil, nil, err
	}
	effort.Reserve = allowance.Reserve
	short := capacity.BeyondHeadroom([]pool.Need{need}, allowance)
	if short == nil {
		rooms, err := capacity.ReadRooms(h, effort.Reserve)
		if err != nil {
			return nil, nil, err
		}
		needs, full := rooms.Divide(before, need, true)
		if full != nil {
			needs = []pool.Need{need}
		}
		err = book.Prepare(ctx, needs, effort)
		if errors.As(err, &short) && len(needs) > 1 { // another node may have what one lacks
			short = nil
			err = book.Prepare(ctx, []pool.Need{need}, effort)
		}
		if err != nil && !errors.As(err, &short) {
			return nil, nil, err
		}
	}
	if short != nil {
		return nil, hold.ShortFinding(short), nil
	}
	after, err := pool.Read(h.Root)
	return change.PoolsChanged(h, before, after), nil, err
}
