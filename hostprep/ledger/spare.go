package ledger

import (
	"vmhuge/hostprep/lock"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// WithSpare calls do while no other run of vmhuge changes the pools, and tells it whether
// there is a free page of a size that is promised to no program and no starting guest.
// While another run has the lock, there is none.
func WithSpare(root hostfs.Root, size pages.Size, do func(spare bool) error) (err error) {
	if !lock.IfFree(root, func() { err = do(hasSpare(root, size)) }) {
		err = do(false)
	}
	return err
}

func hasSpare(root hostfs.Root, size pages.Size) bool {
	pending, err := ReadPending(root, "")
	if err != nil {
		return false
	}
	state, err := pool.Read(root)
	return err == nil && state.Spare(size, pending) > 0
}
