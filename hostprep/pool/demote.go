package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// ErrNoDemote is the error of a kernel that can't split pages of a size on a node.
var ErrNoDemote = errors.New("the kernel cannot split them")

// DemotedSize is the size of the pages into which a node's pages are split.
//
// Source: demote_size in Documentation/admin-guide/mm/hugetlbpage.rst, since Linux 5.16.
func DemotedSize(root hostfs.Root, node int, size pages.Size) (pages.Size, error) {
	text, err := root.Read(poolFile(root, node, size, "demote_size")...)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ErrNoDemote
	}
	if err != nil {
		return 0, err
	}
	var kib int64
	if _, err := fmt.Sscanf(strings.TrimSpace(text), "%dkB", &kib); err != nil || kib <= 0 || size.KiB()%kib != 0 {
		return 0, fmt.Errorf("demote_size of pages of %s on node %d: %q", size, node, text)
	}
	return pages.SizeOfKiB(kib), nil
}

// Demotable is how many pages on a node can be split: they are free, and promised or reserved
// to nobody.
func (s State) Demotable(node int, size pages.Size, pending []Pending) int64 {
	p, _ := s.Pool(node, size)
	g, _ := s.Global(size)
	here := p.Free - max(0, g.Reserved)
	for _, wait := range pending {
		if wait.Size == size && (len(wait.Nodes) == 0 || slices.Contains(wait.Nodes, node)) {
			here -= wait.Unfaulted
		}
	}
	return max(0, min(here, s.Spare(size, pending), p.Persistent()))
}

// DemoteFile is the file by which the kernel splits pages of a node.
func DemoteFile(root hostfs.Root, node int, size pages.Size) string {
	return hostfs.Root("/").Path(poolFile(root, node, size, demoteFile)...)
}

const demoteFile = "demote"

// Demote has the kernel split pages of a node. It may split fewer. With a *Stuck it may yet split
// them.
func Demote(root hostfs.Root, node int, size pages.Size, n int64) error {
	return writeNumber(root, node, size, demoteFile, n)
}
