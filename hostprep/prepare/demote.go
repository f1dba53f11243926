package prepare

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// split is how many pages of a node are to be split.
type split struct {
	node  int
	pages int64
}

// splits divides the pages that are to be split among the nodes that have some free: all of
// them, or a finding that says why not.
func (p Options) splits(h host.Host, state pool.State, pending []pool.Pending) ([]split, *hostprep.Finding, error) {
	need := *p.Demote
	if _, ok := state.Global(need.Size); !ok {
		return nil, p.demoteRefused(hostprep.BadHost, fmt.Sprintf("the kernel has no pages of %s", need.Size), "choose another --size"), nil
	}
	if stuck := pool.StillWriting(h.Root, need.Size); stuck != nil {
		return nil, p.demoteRefused(hostprep.NoMemory, stuck.Error(), stuck.Do()), nil
	}
	nodes := need.Nodes
	if nodes == nil {
		nodes = state.Nodes(need.Size)
	}
	var all []split
	free := int64(0)
	spare := state.Spare(need.Size, pending)
	for _, node := range nodes {
		if _, ok := state.Pool(node, need.Size); !ok {
			return nil, p.demoteRefused(hostprep.BadHost, fmt.Sprintf("there is no node %d with pages of %s", node, need.Size), "choose another --node"), nil
		}
		_, err := pool.DemotedSize(h.Root, node, need.Size)
		if errors.Is(err, pool.ErrNoDemote) {
			return nil, p.demoteRefused(hostprep.BadHost, fmt.Sprintf("this kernel cannot split pages of %s", need.Size),
				"Linux 5.16 and later can split those that are larger than another size"), nil
		}
		if err != nil {
			return nil, nil, err
		}
		n := min(state.Demotable(node, need.Size, pending), spare-free)
		free += n
		if n = min(n, need.Pages); n > 0 {
			all = append(all, split{node, n})
			need.Pages -= n
		}
	}
	if need.Pages > 0 {
		where := ""
		if len(need.Nodes) > 0 {
			where = " on node " + pages.FormatNodes(need.Nodes)
		}
		return nil, p.demoteRefused(hostprep.NoMemory, fmt.Sprintf("of the pages of %s%s, %d can be split: the others are in use, or promised to a guest or program",
			need.Size, where, free), "vmhuge status shows who has them"), nil
	}
	return all, nil, nil
}

func (p Options) demoteRefused(verdict hostprep.Verdict, have, do string) *hostprep.Finding {
	return &hostprep.Finding{Check: "demote", Severity: hostprep.Blocker, Verdict: verdict, Have: have,
		Need: pages.Count(p.Demote.Pages, p.Demote.Size) + " to split", Do: do}
}

// wouldDemote says what demote would do.
func (p Options) wouldDemote(h host.Host) (hostprep.Finding, error) {
	state, err := h.Pools()
	if err != nil {
		return hostprep.Finding{}, err
	}
	pending, err := h.Pending("")
	if err != nil {
		return hostprep.Finding{}, err
	}
	splits, refused, err := p.splits(h, state, pending)
	if err != nil || refused != nil {
		return *cmp.Or(refused, &hostprep.Finding{}), err
	}
	f := hostprep.Finding{Check: "demote", Severity: hostprep.Note, Fixable: true, Have: pages.Count(p.Demote.Pages, p.Demote.Size) + " are to be split"}
	for _, s := range splits {
		f.Changes = append(f.Changes, change.PoolSplit(h, s.node, p.Demote.Size, s.pages))
	}
	return f, nil
}

// demote splits the pages, all or, if another program takes some meanwhile, those of some nodes.
func (p Options) demote(ctx context.Context, h host.Host, done *Result) (refused *hostprep.Finding, err error) {
	book, err := ledger.Open(ctx, h.Root)
	if err != nil {
		return nil, err
	}
	defer done.closeLedger(book)
	before, err := pool.Read(h.Root)
	if err != nil {
		return nil, err
	}
	splits, refused, err := p.splits(h, before, book.Pending(""))
	if err != nil || refused != nil {
		return refused, err
	}
	for _, s := range splits {
		if err = book.Demote(s.node, p.Demote.Size, s.pages); err != nil {
			err = fmt.Errorf("splitting pages of node %d: %w", s.node, err)
			break
		}
	}
	after, rerr := pool.Read(h.Root)
	for _, s := range splits {
		was, _ := before.Pool(s.node, p.Demote.Size)
		is, _ := after.Pool(s.node, p.Demote.Size)
		if n := was.Persistent() - is.Persistent(); n > 0 && rerr == nil {
			done.Changed = append(done.Changed, change.PoolSplit(h, s.node, p.Demote.Size, n))
		}
	}
	if short := (*pool.Short)(nil); errors.As(err, &short) && short.Stuck != nil {
		refused, err = p.demoteRefused(hostprep.NoMemory, short.Stuck.Error(), short.Stuck.Do()), nil
	}
	return refused, errors.Join(err, rerr)
}
