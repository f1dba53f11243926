package hostprep

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"vmhuge/hostprep/pool"
)

// inTurn returns the guests of a preparation, each beside what those before it
// take: all of them shall start.
func (p Preparation) inTurn() []Guest {
	if p.Overcommit {
		return nil
	}
	guests := slices.Clone(p.Guests)
	var before []pool.Pending
	for i := range guests {
		guests[i].Pending = slices.Concat(guests[i].Pending, before)
		for _, take := range takesOf(guests[i].Demand) {
			before = append(before, pool.Pending{Take: take, Unmapped: take.Pages, Unfaulted: take.Pages})
		}
	}
	return guests
}

// lack is what a preparation would add to the pools now, and for whom.
type lack struct {
	guest string // "": for no one
	pool.Need
}

// lacks lists what the pools lack for a preparation: all of its guests shall start.
func (p Preparation) lacks(state pool.State) []lack {
	var lacks []lack
	for _, g := range p.inTurn() {
		for _, need := range Shortfall(state, g) {
			lacks = append(lacks, lack{g.Demand.Domain, need})
		}
	}
	for _, want := range p.Pages {
		if want.Pages -= persistent(state, want); want.Pages > 0 {
			lacks = append(lacks, lack{"", want})
		}
	}
	return lacks
}

// holdPrepared gets the pages that a preparation lacks now. They stay until
// vmhuge undo, whoever takes them. What could not be had is in the findings.
func (h Host) holdPrepared(ctx context.Context, ledger *pool.Ledger, p Preparation, effort pool.Effort) (changed []Change, findings []Finding, err error) {
	hold := HoldOptions{Reserve: p.Reserve, Effort: effort}
	for i, g := range p.inTurn() {
		hold.Beside = g.Pending[len(p.Guests[i].Pending):]
		more, refusal, err := h.hold(ctx, ledger, pool.PreparedUUID, g, hold)
		changed = append(changed, more...)
		if err != nil {
			return changed, findings, err
		}
		if refusal != nil {
			refusal.Have = g.Demand.Domain + ": " + refusal.Have
			findings = append(findings, *refusal)
		}
	}
	for _, want := range p.Pages {
		state, err := pool.Read(h.Root)
		if err != nil {
			return changed, findings, err
		}
		if want.Pages -= persistent(state, want); want.Pages <= 0 {
			continue
		}
		more, refusal, err := h.growPrepared(ctx, ledger, want, p.Reserve, effort)
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

// lacksPages are the findings of what the pools lack for a preparation.
func (h Host) lacksPages(p Preparation) ([]Finding, error) {
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	nodes, err := h.Nodes()
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, l := range p.lacks(state) {
		findings = append(findings, Finding{Check: poolCheck.Name, Severity: Blocker, Verdict: NoMemory, Fixable: true,
			Have: cmp.Or(l.guest, "the pool") + " lacks " + count(l.Pages, l.Size), Need: "all of them", Changes: poolGrowth(h, state, nodes, l.Need)})
	}
	return findings, nil
}

// persistent is how many pages the pools of a need have that stay.
func persistent(state pool.State, need pool.Need) (n int64) {
	for _, p := range state.Pools {
		if p.Size == need.Size && (need.Nodes == nil || slices.Contains(need.Nodes, p.Node)) {
			n += p.Persistent()
		}
	}
	return n
}

// growPrepared adds pages that stay, or says why it could not.
func (h Host) growPrepared(ctx context.Context, ledger *pool.Ledger, need pool.Need, reserve int64, effort pool.Effort) ([]Change, *Finding, error) {
	before, err := pool.Read(h.Root)
	if err != nil {
		return nil, nil, err
	}
	allowance, err := h.Allowance(pool.PreparedUUID, reserve)
	if err != nil {
		return nil, nil, err
	}
	effort.Reserve = allowance.Reserve
	short := exceeds([]pool.Need{need}, allowance)
	if short == nil {
		if err := ledger.Prepare(ctx, []pool.Need{need}, effort); err != nil && !errors.As(err, &short) {
			return nil, nil, err
		}
	}
	if short != nil {
		return nil, shortFinding(short), nil
	}
	after, err := pool.Read(h.Root)
	return poolsChanged(h, before, after), nil, err
}

// HoldAtBoot gets what the table of boot has and neither sysctl nor the kernel's
// command line has brought, and has the ledger know all of the table's pages.
func (h Host) HoldAtBoot(ctx context.Context, ledger *pool.Ledger) (changed []Change, findings []Finding, err error) {
	table, err := h.Boot()
	if err != nil {
		return nil, nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, nil, err
	}
	others, err := h.bootHugepages("vm.nr_hugepages")
	if err != nil {
		return nil, nil, err
	}
	for _, folder := range table.Folders {
		c := Change{Kind: KindMkdir, Path: folder.Path, To: folder.State}
		if now, err := h.look(KindMkdir, c.Path); err != nil || now != "" {
			continue // it is there, or its mount is not
		}
		if err := c.Apply(h); err != nil {
			return changed, findings, err
		}
		changed = append(changed, c)
	}
	state, err := pool.Read(h.Root)
	if err != nil {
		return changed, findings, err
	}
	if len(ledger.Prepared()) > 0 {
		return changed, findings, nil // it has run since the host booted
	}
	needs, there := table.lacks(state, mem.HugePageSize, others)
	if err := ledger.Adopt(there); err != nil {
		return changed, findings, err
	}
	for _, need := range needs {
		more, refusal, err := h.growPrepared(ctx, ledger, need, 0, pool.Effort{})
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
