// Package collapse moves the RAM of a running guest to transparent huge pages, with
// process_madvise(2) and MADV_COLLAPSE, in Linux since 6.1. The call ignores the settings
// of transparent huge pages, and this package does not change them.
package collapse

import (
	"context"
	"errors"
	"slices"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// Guest is a running guest.
type Guest struct {
	Process process.Process // its QEMU
	UUID    string          // on QEMU's command line
	RAM     func() (RAM, error)
}

// RAM is what a guest has at a moment: while it runs, it may get DIMMs and give them up.
type RAM struct {
	KiB      int64
	Backends []pages.Backend // as proof.Read takes them
}

// Options say how much to collapse, and when to stop.
type Options struct {
	AtLeast  float64       // percent of the RAM that should be on huge pages
	Budget   time.Duration // when to stop
	Node     int           // only memory of this host node; -1: of all
	DryRun   bool
	Progress func(done, all int64) // called with the bytes tried so far; may be nil
}

// Result is what is on huge pages afterwards, and what is not.
type Result struct {
	RAMKiB int64 `json:"ram_kib"`
	Node   int   `json:"node"` // -1: all
	DryRun bool  `json:"dry_run"`

	Before Account `json:"before"`
	After  Account `json:"after"`

	// Percent is the share of the RAM in use that is on huge pages; with a node, of the
	// blocks on that node. In a dry run it is the most that a real run could reach.
	Percent        float64 `json:"percent"`
	AtLeastPercent float64 `json:"at_least_percent"`
	Reached        bool    `json:"reached"`

	TryKiB  int64   `json:"try_kib"` // in whole blocks that the kernel can be asked for
	Stopped Stop    `json:"stopped"`
	Left    []Left  `json:"left"`
	Seconds float64 `json:"seconds"` // that the calls took

	// CouldMake is set if there was no free block for part of the RAM.
	*hostprep.CouldMake
}

// Stop says why a collapse ended.
type Stop string

// Why a collapse ended.
const (
	NotStarted  Stop = "not-started" // a dry run
	AllTried    Stop = "all-tried"
	NoGain      Stop = "no-gain" // a second round over what was left gained nothing
	OutOfBlocks Stop = "no-blocks"
	AtReserve   Stop = "reserve" // the host would have less than its reserve
	OutOfTime   Stop = "budget"
	Interrupted Stop = "interrupted"
)

const (
	readWithin = time.Minute // for the kernel's account of a large guest
	callWithin = 2 * time.Second
	// A slice is the most that is passed to one call, because a call can't be stopped.
	sliceBytes = uint64(32 * pages.MiB)
	// shortRun is how many blocks in a row may find no free memory before the collapse
	// ends: for each of them the kernel compacts memory.
	shortRun = 8
	pause    = 100 * time.Millisecond // before a second round
)

// Run collapses a guest's RAM. When ctx ends, the result says how far it came.
func Run(ctx context.Context, h host.Host, g Guest, o Options) (Result, error) {
	r := Result{Node: o.Node, DryRun: o.DryRun, AtLeastPercent: o.AtLeast, Stopped: NotStarted}
	thp, err := h.THP()
	if err != nil {
		return r, err
	}
	size, err := h.THPSize()
	if err != nil {
		return r, err
	}
	if thp.Enabled == "" {
		return r, advice.New("transparent huge pages", "this kernel is built without them", "boot one with CONFIG_TRANSPARENT_HUGEPAGE")
	}
	q, err := openQEMU(h, g)
	if err != nil {
		return r, err
	}
	defer q.close()
	if err := q.supported(); err != nil {
		return r, err
	}
	ram, err := q.account(ctx, h, g, &r)
	if err != nil {
		return r, err
	}
	r.Before = r.After
	plan := newPlan(ram, uint64(size))
	if o.Node >= 0 {
		if plan, err = q.onNode(ctx, plan, uint64(size), o.Node); err != nil {
			return r, err
		}
	}
	r.TryKiB = kib(plan.blocks)
	w := &worker{h: h, size: uint64(size), progress: o.Progress, left: map[uint64]Reason{}, call: q.collapse,
		state: func(s span) ([]Reason, error) { return q.state(s, uint64(size)) }}
	for _, s := range plan.blocks {
		for at := s.start; at < s.end; at += w.size {
			w.left[at] = NotTried
		}
	}
	if o.DryRun {
		return r.foretell(h, plan, size)
	}
	begin := time.Now()
	within, cancel := context.WithTimeoutCause(ctx, o.Budget, errBudget)
	r.Stopped, err = w.run(within, plan.blocks)
	cancel()
	r.Seconds = float64(time.Since(begin).Milliseconds()) / 1000
	if err != nil {
		return r, err
	}
	if _, err = q.account(context.WithoutCancel(ctx), h, g, &r); err != nil {
		return r, err
	}
	r.Left = sum(w.left, int64(size)/pages.KiB, plan.unaligned)
	r.judge(plan, int64(len(w.left))*int64(size)/pages.KiB)
	if slices.ContainsFunc(r.Left, func(l Left) bool { return l.Reason == NoBlock }) {
		r.CouldMake, err = couldMake(h, size)
	}
	return r, err
}

var errBudget = errors.New("the budget is used up")

// judge compares the result with AtLeast; leftKiB is memory in blocks that are not huge.
func (r *Result) judge(p plan, leftKiB int64) {
	huge, there := r.After.HugeKiB, r.RAMKiB-r.After.UntouchedKiB
	if r.Node >= 0 {
		huge, there = kib(p.blocks)-leftKiB, kib(p.blocks)+kib(p.unaligned)
	}
	r.Percent = percent(huge, there)
	r.Reached = r.Percent >= r.AtLeastPercent
}

// foretell is the result of a dry run, which assumes that every suitable block becomes
// huge.
func (r Result) foretell(h host.Host, p plan, size pages.Size) (Result, error) {
	small := max(0, r.RAMKiB-r.Before.UntouchedKiB-r.Before.HugeKiB)
	would := min(small, r.TryKiB)
	r.Percent = percent(r.Before.HugeKiB+would, r.RAMKiB-r.Before.UntouchedKiB)
	if r.Node >= 0 {
		r.Percent = percent(r.TryKiB, r.TryKiB+kib(p.unaligned))
	}
	r.Reached = r.Percent >= r.AtLeastPercent
	r.Left = sum(nil, 0, p.unaligned)
	var err error
	if would > 0 {
		r.CouldMake, err = couldMake(h, size)
	}
	return r, err
}

// percent is rounded down, so that 100 means all; of nothing it is 100.
func percent(part, all int64) float64 {
	if all <= 0 {
		return 100
	}
	return float64(min(part, all)*1000/all) / 10
}

// room is how many bytes the host can give before what is available falls below the part
// of its reserve that pool.Headroom keeps available as well. Transparent huge pages are
// ordinary memory, so the pools' size does not count here.
func room(h host.Host) (free, reserve int64, err error) {
	mem, err := h.Meminfo()
	reserve = pool.Reserve(mem.Total)
	return max(0, mem.Available-reserve/4), reserve, err
}

func couldMake(h host.Host, size pages.Size) (*hostprep.CouldMake, error) {
	free, reserve, err := room(h)
	if err != nil {
		return nil, err
	}
	growth, err := capacity.ReadGrowth(h, free/pages.KiB, reserve)
	if err != nil {
		return nil, err
	}
	could := growth.On(size, nil)
	return &could, nil
}

// account reads which mappings are the guest's RAM, and what backs them now.
func (q *qemu) account(ctx context.Context, h host.Host, g Guest, r *Result) ([]ramRange, error) {
	type answer struct {
		ram     []ramRange
		ramKiB  int64
		account Account
	}
	a, err := within(ctx, readWithin, func() (a answer, err error) {
		ram, err := g.RAM()
		if err != nil {
			return a, err
		}
		p, err := proof.Read(h, q.pid, ram.KiB, ram.Backends...)
		if err != nil {
			return a, err
		}
		a.ramKiB = ram.KiB
		a.ram, a.account, err = q.read(h, p)
		return a, err
	})
	switch {
	case !q.alive():
		err = errGone
	case errors.Is(err, context.Canceled):
		err = errStopped
	case errors.Is(err, errNoAnswer):
		err = advice.Wrap(err, "reading QEMU's memory map", "")
	}
	r.RAMKiB, r.After = a.ramKiB, a.account
	return a.ram, err
}
