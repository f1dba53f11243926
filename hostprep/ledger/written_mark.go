package ledger

import "vmhuge/hostprep/pool"

// markWritten marks the files of the pools that have the counts which are expected of them.
func (l *Ledger) markWritten() {
	if nodes, _ := pool.ReadNodes(l.root); len(nodes) < 2 {
		return
	}
	for _, c := range l.counts.pools {
		if pool.Marked(l.root, c.Node, c.Size) {
			continue
		}
		if p, err := pool.ReadPool(l.root, c.Node, c.Size); err == nil && p.Persistent() == c.Persistent {
			pool.Mark(l.root, c.Node, c.Size)
		}
	}
}
