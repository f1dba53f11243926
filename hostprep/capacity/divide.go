package capacity

import (
	"cmp"
	"slices"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
)

// Rooms is how many bytes each node can give to pools, as far as that is not the host's
// headroom alone: ordinary memory that is free or page cache, less what the node keeps.
type Rooms map[int]int64

// ReadRooms reads the rooms of a host that keeps reserve bytes of ordinary memory; nil: it has
// one node.
func ReadRooms(h host.Host, reserve int64) (Rooms, error) {
	nodes, err := h.Nodes()
	if err != nil || len(nodes) < 2 {
		return nil, err
	}
	rooms := Rooms{}
	for _, n := range nodes {
		rooms[n.ID] = max(0, n.Free+n.Cache-pool.NodeReserve(reserve, len(nodes)))
	}
	return rooms, nil
}

// Divide takes the pages of a need out of the rooms, and says on which node how many are to be
// added. even adds them where the pools are smallest, so that they end up as even as the
// kernel makes them at boot; else those nodes come first that have most room, as with a start.
func (r Rooms) Divide(state pool.State, need pool.Need, even bool) ([]pool.Need, *pool.Short) {
	if r == nil || need.Pages <= 0 {
		return []pool.Need{need}, nil
	}
	type share struct{ node, has, room, gets int64 }
	var all []*share
	for node, room := range r {
		if p, ok := state.Pool(node, need.Size); ok && (need.Nodes == nil || slices.Contains(need.Nodes, node)) {
			all = append(all, &share{node: int64(node), has: p.Persistent(), room: room / int64(need.Size)})
		}
	}
	slices.SortFunc(all, func(a, b *share) int {
		if !even && a.room != b.room {
			return cmp.Compare(b.room, a.room)
		}
		return cmp.Compare(a.node, b.node)
	})
	left := need.Pages
	give := func(s *share, n int64) {
		n = min(n, left, s.room-s.gets)
		s.gets, left = s.gets+n, left-n
	}
	for even && left > 0 {
		open := slices.DeleteFunc(slices.Clone(all), func(s *share) bool { return s.gets == s.room })
		if len(open) == 0 {
			break
		}
		size := func(s *share) int64 { return s.has + s.gets }
		low := size(slices.MinFunc(open, func(a, b *share) int { return cmp.Compare(size(a), size(b)) }))
		step := left
		for _, s := range open {
			if size(s) > low {
				step = min(step, size(s)-low)
			}
		}
		lowest := slices.DeleteFunc(open, func(s *share) bool { return size(s) > low })
		step = min(step, max(1, left/int64(len(lowest))))
		for _, s := range lowest {
			give(s, step)
		}
	}
	var needs []pool.Need
	for _, s := range all {
		if !even {
			give(s, left)
		}
		if r[int(s.node)] -= s.gets * int64(need.Size); s.gets > 0 {
			needs = append(needs, pool.Need{Nodes: []int{int(s.node)}, Size: need.Size, Pages: s.gets})
		}
	}
	if left > 0 {
		return needs, &pool.Short{Need: need, Got: need.Pages - left}
	}
	return needs, nil
}
