package collapse

import (
	"context"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmhuge/internal/advice"
)

// samples is how many pages of a block are looked up to find its node. The kernel puts a
// huge page on the node that has most of the block's small pages.
const samples = 8

// onNode is the part of a plan that is on a host node.
func (q *qemu) onNode(ctx context.Context, p plan, size uint64, node int) (on plan, err error) {
	if on.blocks, err = q.spansOn(ctx, p.blocks, size, node); err == nil {
		on.unaligned, err = q.spansOn(ctx, p.unaligned, size, node)
	}
	return on, err
}

// spansOn picks from spans what is on a node, as far as it is as large as a huge page.
func (q *qemu) spansOn(ctx context.Context, spans []span, size uint64, node int) ([]span, error) {
	var on []uint64
	for _, s := range cut(spans, size*128) {
		if ctx.Err() != nil {
			return nil, errStopped
		}
		var places []uintptr
		for at := s.start; at < s.end; at += size / samples {
			places = append(places, uintptr(at))
		}
		nodes, err := within(ctx, readWithin, func() ([]int32, error) { return q.nodes(places) })
		if err != nil {
			return nil, err
		}
		for i := 0; i+samples <= len(nodes); i += samples {
			if mostly(nodes[i:i+samples]) == node {
				on = append(on, uint64(places[i]))
			}
		}
	}
	return joined(on, size), nil
}

// mostly is the node of most pages, or -1 if no page is present. Negative entries are
// errors, for example of a page that is not present.
func mostly(nodes []int32) int {
	count, most := map[int32]int{}, int32(-1)
	for _, n := range nodes {
		if n < 0 {
			continue
		}
		if count[n]++; most < 0 || count[n] > count[most] {
			most = n
		}
	}
	return int(most)
}

// nodes returns the node of the page at each address, by move_pages(2) without targets.
func (q *qemu) nodes(places []uintptr) ([]int32, error) {
	nodes := make([]int32, len(places))
	if len(places) == 0 {
		return nodes, nil
	}
	_, _, errno := unix.Syscall6(unix.SYS_MOVE_PAGES, uintptr(q.pid), uintptr(len(places)), uintptr(unsafe.Pointer(&places[0])), 0, uintptr(unsafe.Pointer(&nodes[0])), 0)
	switch {
	case !q.alive():
		return nil, errGone
	case errno == 0:
		return nodes, nil
	case errors.Is(errno, unix.ENOSYS):
		return nil, advice.New("looking for the memory on a node", "this kernel has no NUMA nodes", "leave --node out")
	}
	return nil, advice.Wrap(errno, "asking for the nodes of the guest's memory", "run vmhuge as root, on the host itself")
}
