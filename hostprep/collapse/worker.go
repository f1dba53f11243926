package collapse

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// worker asks the kernel slice by slice, and keeps which blocks are not huge and why.
type worker struct {
	h        host.Host
	size     uint64 // of a block
	progress func(done, all int64)
	left     map[uint64]Reason // by where a block begins
	short    int               // blocks in a row that found no free memory
	call     func(context.Context, span) error
	state    func(span) ([]Reason, error) // the reason for each block if it were refused; see qemu.state
}

// run collapses the blocks, then retries blocks that were busy or that the guest may have
// touched since, as long as a round gains something.
func (w *worker) run(ctx context.Context, blocks []span) (Stop, error) {
	for {
		was := len(w.left)
		if stop, err := w.round(ctx, blocks); stop != "" || err != nil {
			return stop, err
		}
		var again []uint64
		refused := false
		for _, at := range slices.Sorted(maps.Keys(w.left)) {
			switch w.left[at] {
			case Busy, NoBlock, CgroupMax:
				refused = true
				again = append(again, at)
			case Untouched:
				again = append(again, at)
			}
		}
		switch {
		case len(w.left) == was && refused:
			return NoGain, nil
		case len(w.left) == was, len(again) == 0:
			return AllTried, nil
		}
		blocks = joined(again, w.size)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// round tries each block once, and says why if it stops early.
func (w *worker) round(ctx context.Context, blocks []span) (Stop, error) {
	all, done := kib(blocks)*1024, int64(0)
	for _, s := range cut(blocks, max(w.size, sliceBytes/w.size*w.size)) {
		if w.progress != nil {
			w.progress(done, all)
		}
		free, _, err := room(w.h)
		switch {
		case err != nil:
			return "", err
		case ctx.Err() != nil:
			return stopped(ctx), nil
		case free < int64(s.end-s.start):
			return AtReserve, nil
		}
		stop, err := w.slice(ctx, s)
		if stop != "" || err != nil {
			return stop, err
		}
		done += int64(s.end - s.start)
	}
	return "", nil
}

func stopped(ctx context.Context) Stop {
	if errors.Is(context.Cause(ctx), errBudget) {
		return OutOfTime
	}
	return Interrupted
}

// slice collapses the blocks of a slice that have pages. The kernel would refuse the rest,
// and flush the caches of all processors (lru_add_drain_all) before each refusal.
func (w *worker) slice(ctx context.Context, s span) (Stop, error) {
	reasons, err := w.state(s)
	if err != nil {
		return "", err
	}
	var touched []uint64
	for i, reason := range reasons {
		if at := s.start + uint64(i)*w.size; reason == Untouched {
			w.left[at] = reason
		} else {
			touched = append(touched, at)
		}
	}
	for _, s := range joined(touched, w.size) {
		if stop, err := w.ask(ctx, s); stop != "" || err != nil {
			return stop, err
		}
	}
	return "", nil
}

// ask collapses a whole span with one call; if that fails, block by block.
func (w *worker) ask(ctx context.Context, s span) (Stop, error) {
	err := w.call(ctx, s)
	if err == nil {
		for at := s.start; at < s.end; at += w.size {
			delete(w.left, at)
		}
		w.short = 0
		return "", nil
	}
	for at := s.start; at < s.end; at += w.size {
		block := span{at, at + w.size}
		if block != s {
			if ctx.Err() != nil {
				return stopped(ctx), nil
			}
			err = w.call(ctx, block)
		}
		switch {
		case err == nil:
			delete(w.left, at)
			w.short = 0
			continue
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return stopped(ctx), nil
		}
		reason, err := w.why(at, err)
		if err != nil {
			return "", err
		}
		w.left[at] = reason
		if reason != NoBlock {
			w.short = 0
		} else if w.short++; w.short >= shortRun {
			return OutOfBlocks, nil
		}
	}
	return "", nil
}

// why names the reason for which the kernel refused a block; an error concerns all blocks.
// Source: madvise_collapse_errno() in the kernel's mm/khugepaged.c.
func (w *worker) why(at uint64, err error) (Reason, error) {
	switch {
	case errors.Is(err, unix.ENOMEM):
		return NoBlock, nil
	case errors.Is(err, unix.EBUSY):
		return CgroupMax, nil
	case errors.Is(err, unix.EAGAIN):
		return Busy, nil
	case errors.Is(err, unix.EINVAL):
		reasons, err := w.state(span{at, at + w.size})
		if err != nil {
			return "", err
		}
		return reasons[0], nil
	}
	return "", err
}
