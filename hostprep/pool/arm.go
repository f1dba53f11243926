package pool

// arm has the kernel itself give back what was added for a guest that runs:
// the pool's count is lowered below what is in use, so that the guest's pages
// become surplus, and the kernel frees them when QEMU ends, whoever ended it
// and whether or not anybody is there to see it.
//
// The kernel does not mark pages as surplus, it counts: of a pool with surplus
// the next pages that anybody frees go. So this is done only where nobody else
// can be hurt: on one node, since older kernels mix up the surplus of several;
// in a pool in which every page is this guest's and in use; without overcommit,
// whose limit surplus counts against; and for guests that keep their pages
// until they end. Elsewhere release gives the pages back after the guest.
//
// The claim is still that of a starting guest, which the next run reads and
// finishes should this one be killed.
func (l *Ledger) arm(i int, c *Claim) error {
	if c.Elastic || len(c.Grants) == 0 {
		return nil
	}
	state, err := Read(l.root)
	if err != nil {
		return err
	}
	ours := map[[2]int64]int64{} // pages by node and size
	for _, g := range c.Grants {
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
		p, err := readPool(l.root, g.Node, g.Size)
		if err != nil {
			return err
		}
		without := p.Persistent() - g.Pages
		c.Grants[0].Without = &without
		if err := l.save(i, *c); err != nil {
			return err
		}
		if _, err := setPersistent(l.root, g.Node, g.Size, without); err != nil {
			return err
		}
		c.Grants, c.Armed = c.Grants[1:], append(c.Armed, g)
		if err := l.save(i, *c); err != nil {
			return err
		}
	}
	return nil
}
