package pool

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// ErrMoved is the error of a pool that was set while it was about to be written.
var ErrMoved = errors.New("another program is setting the page pools")

// SetPersistent writes a node's count and reads back the result: the kernel accepts any
// number and allocates as many as it can. Where the count is not from, another program has set it:
// ErrMoved, and nothing is written. With a *Stuck the pool may yet become what is written.
//
// While another node has surplus, kernels before 6.12 add that to what is
// written here, and later ones turn free pages into surplus that nobody frees.
// So the other node's surplus is made persistent for the time of the write, if that can
// be reverted.
func SetPersistent(root hostfs.Root, node int, size pages.Size, from, target int64) (Pool, error) {
	if stuck := StillWriting(root, size); stuck != nil {
		return Pool{}, stuck
	}
	state, err := Read(root)
	if err != nil {
		return Pool{}, err
	}
	before, _ := state.Pool(node, size)
	if before.Persistent() != from {
		return before, ErrMoved
	}
	other, ok := state.surplusElsewhere(node, size)
	if !ok {
		after, err := writePersistent(root, before, target)
		return after, cmp.Or(err, state.setAbove(after, target))
	}
	if err := writeBorrowed(root, other); err != nil {
		return before, err
	}
	// The node's count includes the surplus; written back, it becomes the persistent
	// count, and nothing is allocated.
	err = writeNr(root, other.Node, size, other.Total)
	var after Pool
	if err == nil {
		after, err = writePersistent(root, before, target)
	}
	return after, errors.Join(err, GiveBackBorrowed(root))
}

// setAbove is the error of a pool that has more than was written. Only other nodes'
// surplus can make it so, or reserved pages that the kernel can't take out of one that
// is to shrink.
func (s State) setAbove(after Pool, target int64) error {
	g, _ := s.Global(after.Size)
	p, _ := s.Pool(after.Node, after.Size)
	if after.Persistent() <= target || g.Surplus > p.Surplus || target < p.Persistent() && g.Reserved > 0 {
		return nil
	}
	return ErrMoved
}

// surplusElsewhere returns the other node that has surplus, if that can be made persistent
// and then surplus again. It can't with surplus on this node too, or on two others, which
// the kernel would add up, nor with free pages there, which the kernel would use instead.
func (s State) surplusElsewhere(node int, size pages.Size) (Pool, bool) {
	var found []Pool
	for _, p := range s.Pools {
		if p.Size == size && p.Surplus > 0 {
			found = append(found, p)
		}
	}
	if len(found) != 1 || found[0].Node == node || found[0].Free > 0 {
		return Pool{}, false
	}
	return found[0], true
}

// writePersistent writes until the count is not above the target.
func writePersistent(root hostfs.Root, before Pool, target int64) (Pool, error) {
	var p Pool
	write := target
	for range 3 {
		if err := writeNr(root, before.Node, before.Size, max(0, write)); err != nil {
			return p, err
		}
		var err error
		if p, err = ReadPool(root, before.Node, before.Size); err != nil || p.Persistent() <= target {
			break
		}
		write -= p.Persistent() - target
	}
	if p.Free > 0 && p.Surplus > before.Surplus {
		// Free pages have become surplus, which no end of a guest would free.
		if err := writeNr(root, p.Node, p.Size, p.Total); err != nil {
			return p, err
		}
		return ReadPool(root, p.Node, p.Size)
	}
	return p, nil
}

// borrowed is the record of a pool whose surplus is persistent for a moment:
// Persistent is the count that it had, Total the one that it has then. A crash in between
// leaves it to the next Open. A pool with a third count was set by another program. An older
// vmhuge writes no Total, and takes any higher count for its own.
type borrowed struct {
	BootID     string     `json:"boot_id"`
	Node       int        `json:"node"`
	Size       pages.Size `json:"page_size_kib"`
	Persistent int64      `json:"persistent"`
	Total      int64      `json:"total,omitempty"`
}

// BorrowedFile holds that record.
var BorrowedFile = append(slices.Clip(hostfs.RunDir), "borrowed.json")

func writeBorrowed(root hostfs.Root, p Pool) error {
	boot, err := root.BootID()
	if err != nil {
		return err
	}
	text, err := json.Marshal(borrowed{boot, p.Node, p.Size, p.Persistent(), p.Total})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(root.Path(hostfs.RunDir...), 0o755); err != nil {
		return err
	}
	return root.Replace(text, 0o644, BorrowedFile...)
}

// GiveBackBorrowed turns the borrowed pages into surplus again. If their guest has ended
// since, they are freed, as surplus would have been.
func GiveBackBorrowed(root hostfs.Root) error {
	text, err := root.Read(BorrowedFile...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	boot, err := root.BootID()
	if err != nil {
		return err
	}
	var b borrowed
	if json.Unmarshal([]byte(text), &b) == nil && b.BootID == boot {
		if StillWriting(root, b.Size) != nil {
			return nil // the next Open tries again
		}
		if p, err := ReadPool(root, b.Node, b.Size); err == nil && (p.Persistent() == b.Total || b.Total == 0 && p.Persistent() > b.Persistent) {
			err := writeNr(root, b.Node, b.Size, b.Persistent)
			if stuck := (*Stuck)(nil); errors.As(err, &stuck) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
	return os.Remove(root.Path(BorrowedFile...))
}
