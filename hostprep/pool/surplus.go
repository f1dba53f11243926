package pool

import "vmhuge/internal/hostfs"

// Another program may use pages beyond a pool's count: surplus, which the kernel frees when
// the program ends. A pool that grows first takes these: they become persistent, and part of
// the grant. When it is released they become surplus again, if they are still in use;
// otherwise they would stay in the pool after the program has ended.

// turnable is how many pages of a grant can be surplus again, and the persistent count that the
// pool then has. A free page, which may be promised, the kernel would take instead.
func turnable(root hostfs.Root, grant Grant) (turn, without int64) {
	p, err := readPool(root, grant.Node, grant.Size)
	if err != nil || p.Free > 0 {
		return 0, 0
	}
	turn = min(grant.Surplus, p.Persistent())
	return turn, p.Persistent() - turn
}
