package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// Need is pages that the pools must gain.
type Need struct {
	Nodes []int      `json:"nodes,omitempty"` // any of these; none named: any node
	Size  pages.Size `json:"page_size_kib"`
	Pages int64      `json:"pages"`
}

// Short is the error of a pool that could not grow as asked. Nothing was kept.
type Short struct {
	Need
	Got int64 // what could have been had
	// Kept is the ordinary memory in bytes that the host keeps, if that is why.
	Kept int64
	// ByCommit says that the host keeps it because of vm.overcommit_memory=2.
	ByCommit bool
	// Stuck is the write of these pools in which the kernel still waits, if that is why.
	Stuck *Stuck
}

// ByCommit is why the pools can't grow where vm.overcommit_memory is 2.
const ByCommit = "vm.overcommit_memory is 2, and each page lowers CommitLimit, which must stay above what is committed"

func (s *Short) Error() string {
	where := ""
	if len(s.Nodes) > 0 {
		where = fmt.Sprintf(" on node %s", pages.FormatNodes(s.Nodes))
	}
	needed, missing := fmt.Sprintf("%d more pages of %s are", s.Pages, s.Size), fmt.Sprintf("%d are", s.Pages-s.Got)
	if s.Pages == 1 {
		needed = fmt.Sprintf("1 more page of %s is", s.Size)
	}
	if s.Pages-s.Got == 1 {
		missing = "1 is"
	}
	why := fmt.Sprintf("the kernel can allocate %d", s.Got)
	if s.Kept > 0 {
		why = fmt.Sprintf("the host can spare %d: it keeps %s for itself", s.Got, pages.Amount(s.Kept))
	}
	if s.ByCommit {
		why = fmt.Sprintf("the host can spare %d: %s", s.Got, ByCommit)
	}
	if s.Stuck != nil {
		why = s.Stuck.Error()
	}
	return fmt.Sprintf("%s needed%s: %s missing, as %s", needed, where, missing, why)
}

// Effort is how hard Grow tries.
type Effort struct {
	// Reserve is the ordinary memory in bytes that the host keeps; on a host
	// of several nodes each keeps its share of a quarter of it.
	Reserve    int64
	DropCaches bool // may drop the page cache to find contiguous memory
	// Progress, if not nil, is called with what is being done, and the bytes done of all.
	Progress func(step string, done, all int64)
}

// chunk is how much one write asks for: the kernel can't be interrupted while it
// allocates, which takes about 0.1 s for this much. For a page of 1 GiB it may have to move
// as much other memory, which takes seconds.
const chunk = 4 * pages.GiB

// Grow adds pages to the pools, all or nothing. record is called with what is
// to be granted before each change of a pool, and at the end with what was. A grant with which
// the kernel is not done yet stays, with Without.
func Grow(ctx context.Context, root hostfs.Root, needs []Need, effort Effort, record func([]Grant) error) error {
	needs = slices.Clone(needs)
	// Large pages first: small ones would break up the memory they need.
	slices.SortStableFunc(needs, func(a, b Need) int { return cmp.Compare(b.Size, a.Size) })
	g := &grower{ctx: ctx, root: root, effort: effort, record: record}
	for _, need := range needs {
		g.all += need.Pages * int64(need.Size)
	}
	for _, need := range needs {
		got, err := g.need(need)
		stuck := (*Stuck)(nil)
		if errors.As(err, &stuck) || err == nil && got < need.Pages {
			err = &Short{Need: need, Got: got, Stuck: stuck}
		}
		if err != nil {
			g.giveBack()
			return err
		}
	}
	return nil
}

type grower struct {
	ctx       context.Context
	root      hostfs.Root
	effort    Effort
	record    func([]Grant) error
	grants    []Grant
	done, all int64 // bytes
}

// need gains pages on the nodes that may give them, and says how many.
func (g *grower) need(need Need) (int64, error) {
	nodes, err := g.nodes(need)
	if err != nil {
		return 0, err
	}
	var got int64
	for _, node := range nodes {
		if got >= need.Pages {
			break
		}
		n, err := g.node(node, need.Size, need.Pages-got)
		got += n
		if err != nil {
			return got, err
		}
	}
	return got, nil
}

// nodes orders the nodes that may give a need's pages, most free memory first.
func (g *grower) nodes(need Need) ([]int, error) {
	nodes := slices.Clone(need.Nodes)
	if len(nodes) == 0 {
		state, err := Read(g.root)
		if err != nil {
			return nil, err
		}
		nodes = state.Nodes(need.Size)
	}
	free := map[int]int64{}
	for _, node := range nodes {
		free[node] = readNodeMemory(g.root, node).free
	}
	slices.SortStableFunc(nodes, func(a, b int) int { return cmp.Compare(free[b], free[a]) })
	return nodes, nil
}

// node grows one pool by up to want pages: write, read back, compact, write
// again, as long as something is gained. A plain repeat gains nothing on a
// fragmented host, compaction between two writes does.
func (g *grower) node(node int, size pages.Size, want int64) (int64, error) {
	before, err := ReadPool(g.root, node, size)
	if err != nil {
		return 0, err
	}
	if want = min(want, g.room(node)/int64(size)); want <= 0 {
		return 0, nil
	}
	// The kernel first makes the pool's surplus persistent. Those pages are in use,
	// so that the pages wanted come on top of them.
	surplus := before.Surplus
	want += surplus
	at, count := len(g.grants), before.Persistent()
	g.grants = append(g.grants, Grant{Node: node, Size: size, Pages: want, Without: &count, Surplus: surplus})
	if err := g.record(g.grants); err != nil {
		g.grants = g.grants[:at]
		return 0, err
	}
	var got, target int64
	step := max(1, chunk/int64(size))
	doing := "getting huge pages"
	if size >= pages.Size1GiB {
		step, doing = 1, "moving memory out of the way of pages of "+size.String()
		g.progress(doing, g.done)
	}
	remedies := []func(){func() { compact(g.ctx, g.root, node) }}
	if g.effort.DropCaches {
		remedies = append(remedies, func() { dropCaches(g.ctx, g.root); compact(g.ctx, g.root, node) })
	}
	for fruitless := 0; got < want && err == nil; {
		if err = g.ctx.Err(); err != nil {
			break
		}
		var p Pool
		target = count + min(got+step, want)
		p, err = SetPersistent(g.root, node, size, count+got, target)
		gained := p.Persistent() - count - got
		if err == nil && gained < 0 {
			err = ErrMoved
		}
		if errors.Is(err, ErrMoved) { // all of it is what the other program asks for
			got = 0
		}
		if err != nil {
			break
		}
		got += gained
		bytes := g.done + max(0, got-surplus)*int64(size)
		g.progress(doing, bytes)
		if p.Persistent() == target {
			continue
		}
		if gained > 0 {
			fruitless = 0
		}
		if fruitless == len(remedies) {
			break
		}
		g.progress("compacting memory for huge pages", bytes)
		remedies[fruitless]()
		fruitless++
	}
	fresh := max(0, got-surplus)
	g.done += fresh * int64(size)
	g.grants[at] = Grant{Node: node, Size: size, Pages: got, Surplus: min(got, surplus)}
	if errors.As(err, new(*Stuck)) { // it may yet add what it is to
		g.grants[at] = Grant{Node: node, Size: size, Pages: target - count, Without: &count, Surplus: min(target-count, surplus)}
	}
	if rerr := g.record(g.grants); err == nil {
		err = rerr
	}
	return fresh, err
}

func (g *grower) progress(step string, done int64) {
	if g.effort.Progress != nil {
		g.effort.Progress(step, done, g.all)
	}
}

// room is how many bytes a node may give. QEMU and other programs may be confined to the
// node, and the kernel kills them if it has no ordinary memory left.
func (g *grower) room(node int) int64 {
	nodes, _ := ReadNodes(g.root)
	if len(nodes) < 2 {
		return math.MaxInt64 // the host's own headroom is enough
	}
	m := readNodeMemory(g.root, node)
	return m.free + m.cache - NodeReserve(g.effort.Reserve, len(nodes))
}

// giveBack returns what was granted so far. What the kernel keeps stays in the
// record, and the next run of anything returns it.
func (g *grower) giveBack() {
	// Nobody was promised pages that were only just added. An error is ignored: the
	// record on disk still names the pages.
	g.grants, _, _ = Release(g.root, g.grants, nil, g.record)
}

func ReadPool(root hostfs.Root, node int, size pages.Size) (Pool, error) {
	state, err := Read(root)
	if err != nil {
		return Pool{}, err
	}
	p, ok := state.Pool(node, size)
	if !ok {
		return p, fmt.Errorf("node %d has no pool of pages of %s", node, size)
	}
	return p, nil
}

// poolFile is the path of a pool's file. Only the files of one node are ever
// written: a write to the global file moves pages between nodes.
func poolFile(root hostfs.Root, node int, size pages.Size, name string) []string {
	if nodes, _ := ReadNodes(root); len(nodes) == 0 {
		return append(slices.Clone(globalDir), sizeDir(size), name)
	}
	return append(nodeDir(node), sizeDir(size), name)
}

// nrFile is the file that sets a pool's size.
const nrFile = "nr_hugepages"

// File is the path on the host of the file that sets a pool's size, for showing.
func File(root hostfs.Root, node int, size pages.Size) string {
	return hostfs.Root("/").Path(poolFile(root, node, size, nrFile)...)
}
