package pool

import (
	"context"
	"os"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// WithSpare calls do while nobody else changes the pools, and tells it whether
// there is a page of a size that no program and no starting guest is promised. It
// waits for nobody: while another has the lock, there is none.
func WithSpare(root hostfs.Root, size pages.Size, do func(spare bool) error) error {
	if err := os.MkdirAll(root.Path(runDir...), 0o755); err != nil {
		return do(false)
	}
	now, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	lock, err := lock(now, root)
	if err != nil {
		return do(false)
	}
	defer lock.Close()
	pending, err := ReadPending(root, "")
	if err != nil {
		return do(false)
	}
	state, err := Read(root)
	g, _ := state.Global(size)
	spare := g.Free - g.Reserved
	for _, p := range pending {
		if p.Size == size {
			spare -= p.Unmapped
		}
	}
	return do(err == nil && spare > 0)
}
