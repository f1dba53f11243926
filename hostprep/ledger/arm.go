package ledger

import (
	"errors"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// arm makes the kernel itself free what was added for a running guest: the pool's count is
// lowered below what is in use, so that the guest's pages become surplus, which the kernel
// frees when QEMU ends, however it ends and whether or not vmhuge or libvirtd run then.
//
// The kernel does not mark pages as surplus, it counts: in a pool with surplus it frees
// the next pages that any program releases. So arm is limited to cases where no other
// program can lose pages: on one node, since older kernels mix up the surplus of several;
// in a pool in which every page is this guest's and in use; without overcommit, whose
// limit surplus counts against; and for guests that keep their pages until they end.
// Otherwise, and once the pool grows for another guest, release frees the pages later.
//
// The claim is still in the phase "starting", so that the next run reads and completes it
// if this one is killed.
func (l *Ledger) arm(i int, c *Claim) error {
	if c.Elastic || c.Keep != nil || len(c.Grants) == 0 {
		return nil
	}
	state, err := pool.Read(l.root)
	if err != nil {
		return err
	}
	ours := map[[2]int64]int64{} // pages by node and size
	for _, g := range c.Grants {
		if g.Without != nil || l.stuck(g.Size) != nil {
			return nil
		}
		ours[[2]int64{int64(g.Node), int64(g.Size)}] += g.Pages
	}
	for _, g := range c.Grants {
		p, _ := state.Pool(g.Node, g.Size)
		global, _ := state.Global(g.Size)
		if len(state.Nodes(g.Size)) != 1 || p.Free > 0 || global.Overcommit > 0 ||
			p.Persistent() != ours[[2]int64{int64(g.Node), int64(g.Size)}] {
			return nil
		}
	}
	for len(c.Grants) > 0 {
		g := c.Grants[0]
		p, err := pool.ReadPool(l.root, g.Node, g.Size)
		if err != nil {
			return err
		}
		without := p.Persistent() - g.Pages
		c.Grants[0].Without = &without
		if err = l.saveChange(i, *c); err == nil {
			_, err = pool.SetPersistent(l.root, g.Node, g.Size, p.Persistent(), without)
		}
		if errors.Is(err, pool.ErrMoved) { // the next run finds out what that comes to
			c.Grants[0].Without = nil
			return l.save(i, *c)
		}
		if l.stuck(g.Size) != nil { // so it does
			return nil
		}
		if err != nil {
			return err
		}
		c.Grants, c.Armed = c.Grants[1:], append(c.Armed, g)
		if err := l.save(i, *c); err != nil {
			return err
		}
	}
	return nil
}

// disarm makes the surplus of running guests persistent again and returns it to their
// claims. When a pool grows, the kernel first makes surplus persistent, which gains no
// page, and those pages would then count as added for the new guest.
func (l *Ledger) disarm(size pages.Size) error {
	state, err := pool.Read(l.root)
	if err != nil {
		return err
	}
	for _, p := range state.Pools {
		if p.Size != size || p.Surplus == 0 {
			continue
		}
		for i := range l.claims {
			if err := l.disarmOne(i, p.Node, size); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Ledger) disarmOne(i, node int, size pages.Size) error {
	if l.claims[i].Phase != InUse {
		return nil
	}
	c, err := l.read(l.claims[i]) // a claim that can't be read is handled by load
	armed := slices.IndexFunc(c.Armed, func(g pool.Grant) bool { return g.Node == node && g.Size == size })
	if err != nil || armed < 0 {
		return nil
	}
	// Saved as a starting guest's claim, so that the next run reads it if this one is killed.
	pid := c.PID
	c.Phase = Starting
	if err := l.rename(i, c); err != nil {
		return err
	}
	for ; armed >= 0; armed = slices.IndexFunc(c.Armed, func(g pool.Grant) bool { return g.Node == node && g.Size == size }) {
		p, err := pool.ReadPool(l.root, node, size)
		if err != nil {
			return err
		}
		without := p.Persistent()
		g := c.Armed[armed]
		g = g.Of(min(g.Pages, p.Surplus))
		g.Without = &without
		c.Armed = slices.Delete(slices.Clone(c.Armed), armed, armed+1)
		c.Grants = append(c.Grants, g)
		if err = l.saveChange(i, c); err == nil {
			_, err = pool.SetPersistent(l.root, node, size, without, without+g.Pages)
		}
		if err != nil && !errors.Is(err, pool.ErrMoved) {
			return err
		}
		c.Grants[len(c.Grants)-1].Without = nil
		if err != nil { // they are what the other program asks for, or go with the guest
			c.Grants = c.Grants[:len(c.Grants)-1]
		}
		if err := l.save(i, c); err != nil {
			return err
		}
	}
	c.Phase, c.PID = InUse, pid
	return l.rename(i, c)
}
