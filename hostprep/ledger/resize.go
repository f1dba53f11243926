package ledger

import (
	"errors"
	"fmt"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// Resize is a change of a running guest's memory that is under way. It is in the claim, so
// that after a crash the next run finds out what came of it, and gives back what the guest
// did not take.
type Resize struct {
	Owner process.Process `json:"owner"` // that makes the change
	Size  pages.Size      `json:"page_size_kib"`
	Pages int64           `json:"pages"` // by which the guest grows; negative: shrinks
	// Lazy says that the guest takes the pages as it touches them, which it does with
	// virtio-mem: the kernel's account does not tell when it has been given them.
	Lazy bool `json:"lazy,omitempty"`
	// Asked says that libvirt may have been asked for it.
	Asked bool `json:"asked,omitempty"`
	// Nodes are those of the pages; with none named, any.
	Nodes []int `json:"nodes,omitempty"`
	// Had is what the guest had mapped of pages of the size, but for virtio-mem's; Granted is
	// what was added to the pools for it.
	Had     int64 `json:"had"`
	Granted int64 `json:"granted"`
	// Counted says that the claim has what came of the change, and More by how many more, or
	// fewer, the pools must then have for it.
	Counted bool  `json:"counted,omitempty"`
	More    int64 `json:"more,omitempty"`
	// First says that the guest had no claim before.
	First bool `json:"first,omitempty"`
}

// ErrResizing is that another process is changing the memory of the guest.
var ErrResizing = errors.New("another run of vmhuge is changing its memory")

// ErrGone is that a guest has no process any more.
var ErrGone = errors.New("it has ended")

// BeginResize writes down that a running guest is about to get or to lose memory. What it
// grows by other guests then leave to it.
func (l *Ledger) BeginResize(uuid, name string, r Resize) error {
	if !process.IsUUID(uuid) {
		return fmt.Errorf("%q is no UUID", uuid)
	}
	// While the claim is in use: surplus would count as added for the guest.
	if err := l.disarm(r.Size); err != nil {
		return err
	}
	old, i := Claim{UUID: uuid, Name: name, Grants: []pool.Grant{}}, l.index(uuid)
	if i >= 0 {
		var err error
		if old, err = l.load(i); errors.Is(err, errUnusable) {
			return l.BeginResize(uuid, name, r)
		} else if err != nil {
			return err
		}
	}
	if old.Resize != nil {
		return ErrResizing // one of a process that is gone was ended by Open
	}
	pid, held := l.guests.Find(old.guest())
	if pid == 0 && !held {
		return ErrGone
	}
	old.PID = pid
	text, err := l.root.ReadProcess(pid, "smaps")
	if err != nil {
		return err
	}
	now := smaps.Parse(text)
	mapped, _ := smaps.Hugetlb(now)
	there := smaps.Lasting(now)
	c := old
	c.Phase, c.Elastic = Starting, true
	r.First, r.Granted = i < 0, pool.Done(c.Grants, r.Size)
	if r.Had == 0 {
		r.Had = there[r.Size]
	}
	// What has left it already it is not about to take again.
	left := r.Had - there[r.Size]
	old.lose(left, r.Size)
	c.Resize, c.Takes = &r, nil
	if r.Pages > 0 {
		c.Takes = append(c.Takes, pool.Take{Nodes: r.Nodes, Size: r.Size, Pages: r.Pages})
	}
	if old.Phase == Starting { // what it has not taken yet of an earlier growth
		for _, p := range old.pending(l.root) {
			switch {
			case p.Unplugging: // see below
				mapped[p.Size] += p.Unmapped
			case p.Unmapped > 0 && !p.Growth:
				c.Takes = append(c.Takes, pool.Take{Nodes: p.Nodes, Size: p.Size, Pages: p.Unmapped})
			}
		}
		for _, take := range old.Takes {
			if take.Unplugging { // those that it has not given up yet as well
				mapped[take.Size] -= take.Pages
			}
			if take.Growth || take.Unplugging {
				c.Takes = append(c.Takes, take)
			}
		}
	}
	mapped[r.Size] += left
	there[r.Size] += left
	c.Has = pool.TakesOf(mapped)
	if c.Mapped == nil {
		c.Mapped = pool.TakesOf(there)
	}
	return l.put(i, c)
}

// AskResize writes down that libvirt is going to be asked for the change.
func (l *Ledger) AskResize(uuid string) error {
	i := l.index(uuid)
	if i < 0 || l.claims[i].Resize == nil {
		return ErrGone
	}
	c := l.claims[i]
	r := *c.Resize
	r.Asked, c.Resize = true, &r
	return l.save(i, c)
}

// EndResize ends a change as the kernel's account shows it: what the guest did not take, or
// has no more, is freed. It returns how many bytes were freed and how many must wait.
func (l *Ledger) EndResize(uuid string) (given, owed int64, err error) {
	i := l.index(uuid)
	if i < 0 || l.claims[i].Resize == nil {
		return 0, 0, nil
	}
	c := l.claims[i]
	grew, err := c.grew(l)
	if err != nil {
		return 0, 0, err
	}
	return l.EndResizeBy(uuid, grew)
}

// grew is by how many pages a guest has grown in a change that was perhaps cut off.
func (c Claim) grew(l *Ledger) (int64, error) {
	r := c.Resize
	switch {
	case !r.Asked:
		return 0, nil
	case r.Lazy:
		return max(0, r.Pages), nil // it may yet take them, and need not have given up any
	}
	there, err := LastingOf(l.root, c.PID)
	return there[r.Size] - r.Had, err
}

// EndResizeBy is EndResize for a guest that is known to have grown by so many pages, or, of a
// negative number, to have shrunk.
func (l *Ledger) EndResizeBy(uuid string, grew int64) (given, owed int64, err error) {
	if err := l.findRewrites(); err != nil {
		return 0, 0, err
	}
	i := l.index(uuid)
	if i < 0 {
		return 0, 0, nil
	}
	c, err := l.load(i)
	if errors.Is(err, errUnusable) || err == nil && c.Resize == nil {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if pid, held := l.guests.Find(c.guest()); pid == 0 && !held {
		return l.Release(uuid) // it has ended
	}
	c = c.resized(grew)
	r := *c.Resize
	excess := pool.Done(c.Grants, r.Size) - max(0, r.Granted+r.More)
	if given, owed, err = l.shed(i, c, r.Size, r.Nodes, excess); err != nil {
		return given, owed, err
	}
	c = l.claims[i]
	c.Resize = nil
	if err := l.save(i, c); err != nil {
		return given, owed, err
	}
	switch {
	case r.First && grew <= 0 && len(c.Grants) == 0:
		err = l.remove(i)
	case c.hasAll(l.root):
		err = l.use(i, c)
	}
	return given, owed, err
}

// resized is the claim of a guest that has grown by so many pages, before any are freed. Should
// this run be killed then, the next does not count them again.
func (c Claim) resized(grew int64) Claim {
	r := *c.Resize
	if !r.Counted {
		c.Takes = pool.Less(c.Takes, r.Size, max(0, r.Pages)-max(0, grew))
		c.lose(-grew, r.Size)
		// What it was asked for, and has perhaps not given up, counts as its own.
		if n := min(pagesAt(c.Has, pool.Take{Size: r.Size}), min(0, grew)-r.Pages); n > 0 && r.Lazy && r.Asked {
			c.Has = pool.Less(c.Has, r.Size, n)
			c.Takes = append(c.Takes, pool.Take{Nodes: r.Nodes, Size: r.Size, Pages: n, Unplugging: true})
		}
		r.More = c.grow(grew, r.Size, r.Nodes)
		if !r.Lazy {
			mapped := map[pages.Size]int64{r.Size: grew}
			for _, take := range c.Mapped {
				mapped[take.Size] += take.Pages
			}
			c.Mapped = pool.TakesOf(mapped)
		}
	}
	r.Pages, r.Counted, c.Resize = grew, true, &r
	return c
}

// lose takes n pages that have left the guest off those that it had, and then off its takes.
func (c *Claim) lose(n int64, size pages.Size) {
	had := min(max(0, n), pagesAt(c.Has, pool.Take{Size: size}))
	c.Has, c.Takes = pool.Less(c.Has, size, had), pool.Less(c.Takes, size, n-had)
}

// shed frees up to n pages of a claim's grants, whose guest goes on: first those on the nodes that
// it has left, and the newest first.
func (l *Ledger) shed(i int, c Claim, size pages.Size, nodes []int, n int64) (given, owed int64, err error) {
	going, staying := pool.TakeOff(c.Grants, n, func(g pool.Grant) bool { return g.Size == size && slices.Contains(nodes, g.Node) })
	more, staying := pool.TakeOff(staying, n-pool.PagesIn(going), func(g pool.Grant) bool { return g.Size == size })
	going = append(going, more...)
	if err := l.save(i, c); err != nil || len(going) == 0 {
		return 0, 0, err
	}
	kept, turned, err := pool.Release(l.root, going, l.Pending(""), func(grants []pool.Grant) error {
		c.Grants = slices.Concat(staying, grants)
		return l.saveChange(i, c)
	})
	given, owed = pool.PagesIn(going)*int64(size), pool.PagesIn(kept)*int64(size)
	return given - turned - owed, owed, err
}

// abandoned ends a change whose process is gone.
func (l *Ledger) abandoned(c Claim) error {
	grew, err := c.grew(l)
	if err != nil {
		return nil // it can't be told now, and the pages stay with the guest
	}
	given, _, err := l.EndResizeBy(c.UUID, grew)
	if given > 0 {
		l.Settled = append(l.Settled, Settlement{UUID: c.UUID, Name: c.Name, Given: given, Runs: true})
	}
	return err
}

// Beside is what a guest has not taken yet of an earlier growth, or leaves reserved for a later
// one, if it now grows as r says.
func (l *Ledger) Beside(uuid string, r Resize) (beside []pool.Pending) {
	i := l.index(uuid)
	if i < 0 || l.claims[i].Phase != Starting {
		return nil
	}
	c := l.claims[i]
	c.Resize = &r
	for _, p := range c.pending(l.root) {
		if p.Unmapped > 0 {
			beside = append(beside, p)
		}
	}
	return beside
}
