package capacity

import (
	"fmt"
	"slices"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// ByDemotion is the advice to split free larger pages of one node where the pools lack some,
// "" if that would not do.
func ByDemotion(root hostfs.Root, state pool.State, lack pool.Need, pending []pool.Pending) string {
	for _, p := range state.Pools {
		if p.Size <= lack.Size || lack.Nodes != nil && !slices.Contains(lack.Nodes, p.Node) {
			continue
		}
		into, err := pool.DemotedSize(root, p.Node, p.Size)
		if err != nil || into != lack.Size {
			continue
		}
		n := p.Size.Ceil(lack.Pages * int64(lack.Size))
		if n > 0 && state.Demotable(p.Node, p.Size, pending) >= n {
			return fmt.Sprintf(", or split %s (vmhuge prepare --demote %d --size %s --node %d)", free(n, p.Size), n, pages.SizeWord(p.Size), p.Node)
		}
	}
	return ""
}

func free(n int64, size pages.Size) string {
	if n == 1 {
		return fmt.Sprintf("a free page of %s", size)
	}
	return fmt.Sprintf("%d free pages of %s", n, size)
}
