package ledger

import (
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/smaps"
)

// Trim frees what was added for a running guest beyond what it has: a DIMM has left it by
// another program, or after vmhuge had waited for it. What virtio-mem may plug again stays.
func (l *Ledger) Trim(uuid string) error {
	i := l.index(uuid)
	if i < 0 {
		return nil
	}
	c, err := l.read(l.claims[i]) // one that can't be used is seen to elsewhere
	if err != nil || !c.Elastic || c.Resize != nil || c.Phase != InUse && c.Mapped == nil {
		return nil
	}
	text, err := l.root.ReadProcess(c.PID, "smaps")
	if err != nil {
		return nil
	}
	now := smaps.Parse(text)
	there := smaps.Lasting(now)
	freed := func(given int64) {
		if given > 0 {
			l.Settled = append(l.Settled, Settlement{UUID: uuid, Name: c.Name, Given: given, Runs: true})
		}
	}
	for _, had := range c.Mapped {
		if lost := had.Pages - there[had.Size]; lost > 0 {
			given, err := l.lost(c, had, lost)
			if err != nil {
				return err
			}
			freed(given)
		}
	}
	// It may have ended meanwhile.
	if i = l.index(uuid); i < 0 || slices.ContainsFunc(now, smaps.Mapping.VirtioMem) {
		return nil
	}
	// Of a guest whose memory vmhuge has not changed that is all that is known, and of others there
	// may be pages that could not be freed before.
	if c, err = l.read(l.claims[i]); err != nil {
		return err
	}
	for _, size := range pool.SizesOf(c.Grants) {
		excess := pool.Done(c.Grants, size) - there[size]
		for _, take := range c.takesNow() {
			if take.Growth && take.Size == size {
				excess -= take.Pages
			}
		}
		if excess <= 0 {
			continue
		}
		given, _, err := l.shed(i, c, size, nil, excess)
		if err != nil {
			return err
		}
		freed(given)
		c = l.claims[i]
	}
	return nil
}

// lost counts so many pages of a size that have left a guest by themselves.
func (l *Ledger) lost(c Claim, had pool.Take, n int64) (given int64, err error) {
	// Of no process: if this one is killed, the next run ends it.
	r := Resize{Size: had.Size, Pages: -n, Asked: true, Had: had.Pages}
	for _, take := range c.Takes {
		if take.Growth && take.Size == had.Size {
			r.Nodes = take.Nodes
		}
	}
	switch err := l.BeginResize(c.UUID, c.Name, r); {
	case errors.Is(err, ErrGone), errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH), errors.Is(err, hostfs.ErrHeld):
		return 0, nil // it has just ended, or can't be read now: the next run looks again
	case err != nil:
		return 0, err
	}
	given, _, err = l.EndResizeBy(c.UUID, -n)
	return given, err
}

// count notes what a guest that has started has mapped.
func (l *Ledger) count(i int, c Claim) error {
	takes := func(p pool.Pending) bool { return !p.Growth && p.Unmapped > 0 }
	if c.Mapped != nil || slices.ContainsFunc(c.pending(l.root), takes) {
		return nil
	}
	there, err := LastingOf(l.root, c.PID)
	if err != nil {
		return nil // the next run looks again
	}
	c.Mapped = pool.TakesOf(there)
	return l.save(i, c)
}
