// Package pool reads the kernel's hugetlb pools, and makes them larger and smaller. Who may
// do that holds the lock, and keeps the account: both are the ledger's.
//
// Source: Documentation/admin-guide/mm/hugetlbpage.rst of the kernel.
package pool

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// Pool is the pool of one page size on one node. All counts are pages.
type Pool struct {
	Node    int        `json:"node"`
	Size    pages.Size `json:"page_size_kib"`
	Total   int64      `json:"total"` // nr_hugepages: includes the surplus
	Free    int64      `json:"free"`  // free_hugepages: includes what is reserved
	Surplus int64      `json:"surplus"`
}

// Persistent is the number of pages that stay when nobody uses them.
func (p Pool) Persistent() int64 { return p.Total - p.Surplus }

// Global is the pool of one page size over all nodes.
type Global struct {
	Size       pages.Size
	Total      int64
	Free       int64
	Reserved   int64 // resv_hugepages: promised to a mapping, not yet faulted in; never below 0 (ReadReserved)
	Surplus    int64
	Overcommit int64 // nr_overcommit_hugepages: the most surplus that is allowed
}

// Available is what a new mapping gets: the kernel reserves all of it or
// nothing. Only the part up to Free − Reserved is certain; the rest is
// overcommit, which the kernel must first find as free memory.
func (g Global) Available() int64 {
	return g.Free - g.Reserved + max(0, g.Overcommit-g.Surplus)
}

// State is all pools at one moment.
type State struct {
	Globals []Global // by size, smallest first
	Pools   []Pool   // by node, then size
}

// Sizes returns the page sizes that the kernel has, smallest first.
func (s State) Sizes() []pages.Size {
	var sizes []pages.Size
	for _, g := range s.Globals {
		sizes = append(sizes, g.Size)
	}
	return sizes
}

// Global returns the pool of a size over all nodes; false: the kernel has no
// pages of that size.
func (s State) Global(size pages.Size) (Global, bool) {
	i := slices.IndexFunc(s.Globals, func(g Global) bool { return g.Size == size })
	if i < 0 {
		return Global{Size: size}, false
	}
	return s.Globals[i], true
}

// Pool returns the pool of a size on a node.
func (s State) Pool(node int, size pages.Size) (Pool, bool) {
	i := slices.IndexFunc(s.Pools, func(p Pool) bool { return p.Node == node && p.Size == size })
	if i < 0 {
		return Pool{Node: node, Size: size}, false
	}
	return s.Pools[i], true
}

// Persistent is how many pages of a size stay when nobody uses them, on all nodes.
func (s State) Persistent(size pages.Size) (n int64) {
	for _, p := range s.Pools {
		if p.Size == size {
			n += p.Persistent()
		}
	}
	return n
}

// Nodes returns the nodes that have a pool of a size.
func (s State) Nodes(size pages.Size) []int {
	var nodes []int
	for _, p := range s.Pools {
		if p.Size == size {
			nodes = append(nodes, p.Node)
		}
	}
	return nodes
}

// Read reads every pool. A kernel without hugetlb has none: an empty State.
func Read(root hostfs.Root) (State, error) {
	var state State
	sizes, err := readSizes(root, globalDir)
	if err != nil {
		return state, err
	}
	for _, size := range sizes {
		g := Global{Size: size}
		dir := append(globalDir, sizeDir(size))
		if err := readCounters(root, dir, counter{"nr_overcommit_hugepages", &g.Overcommit}); err != nil {
			return state, err
		}
		if err := readTogether(root, dir, &g.Total, &g.Free, &g.Surplus, g.Overcommit > 0); err != nil {
			return state, err
		}
		reserved, err := ReadReserved(root, size)
		if err != nil {
			return state, err
		}
		g.Reserved = max(0, reserved)
		state.Globals = append(state.Globals, g)
	}
	nodes, err := ReadNodes(root)
	if err != nil {
		return state, err
	}
	if len(nodes) == 0 { // a kernel without CONFIG_NUMA has no node folders
		for _, g := range state.Globals {
			state.Pools = append(state.Pools, Pool{Node: 0, Size: g.Size, Total: g.Total, Free: g.Free, Surplus: g.Surplus})
		}
	}
	for _, node := range nodes {
		sizes, err := readSizes(root, nodeDir(node))
		if err != nil {
			return state, err
		}
		for _, size := range sizes {
			p := Pool{Node: node, Size: size}
			g, _ := state.Global(size)
			if err := readTogether(root, append(nodeDir(node), sizeDir(size)), &p.Total, &p.Free, &p.Surplus, g.Overcommit > 0); err != nil {
				return state, err
			}
			state.Pools = append(state.Pools, p)
		}
	}
	return state, nil
}

// readTogether reads a pool's counts of one moment. They are a file each: of a guest that ends
// meanwhile, and whose pages are surplus, total would be of before and surplus of after, as if
// somebody had set the pool. grows says that the kernel may add surplus.
func readTogether(root hostfs.Root, dir []string, total, free, surplus *int64, grows bool) error {
	read := func() error {
		return readCounters(root, dir, counter{"surplus_hugepages", surplus}, counter{"nr_hugepages", total}, counter{"free_hugepages", free})
	}
	err := read()
	for range 1000 { // a guest's end may take seconds
		if err != nil || *surplus == 0 && !grows {
			return err
		}
		was := [2]int64{*total, *surplus}
		if err = read(); was == [2]int64{*total, *surplus} {
			return err
		}
	}
	return err
}

// counter is a file of a pool, and where its number goes.
type counter struct {
	name string
	to   *int64
}

func readCounters(root hostfs.Root, dir []string, counters ...counter) (err error) {
	path := append(dir, "")
	for _, c := range counters {
		path[len(path)-1] = c.name
		if *c.to, err = root.ReadInt(path...); err != nil {
			return err
		}
	}
	return nil
}

var globalDir = []string{"sys", "kernel", "mm", "hugepages"}

func nodeDir(node int) []string {
	return []string{"sys", "devices", "system", "node", "node" + strconv.Itoa(node), "hugepages"}
}

// sizeDir is the kernel's name of a size: hugepages-2048kB.
func sizeDir(size pages.Size) string {
	return "hugepages-" + strconv.FormatInt(size.KiB(), 10) + "kB"
}

func parseSizeDir(name string) (pages.Size, bool) {
	rest, ok := strings.CutPrefix(name, "hugepages-")
	if !ok {
		return 0, false
	}
	digits, ok := strings.CutSuffix(rest, "kB")
	kib, err := strconv.ParseInt(digits, 10, 64)
	size := pages.SizeOfKiB(kib)
	if !ok || err != nil || kib <= 0 || kib > 1<<50 || sizeDir(size) != name {
		return 0, false
	}
	return size, true
}

func readSizes(root hostfs.Root, dir []string) ([]pages.Size, error) {
	entries, err := os.ReadDir(root.Path(dir...))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var sizes []pages.Size
	for _, e := range entries {
		if size, ok := parseSizeDir(e.Name()); ok {
			sizes = append(sizes, size)
		}
	}
	slices.SortFunc(sizes, cmp.Compare)
	return sizes, nil
}

func ReadNodes(root hostfs.Root) ([]int, error) {
	entries, err := os.ReadDir(root.Path("sys", "devices", "system", "node"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var nodes []int
	for _, e := range entries {
		if digits, ok := strings.CutPrefix(e.Name(), "node"); ok {
			if node, err := strconv.Atoi(digits); err == nil && node >= 0 {
				nodes = append(nodes, node)
			}
		}
	}
	slices.Sort(nodes)
	return nodes, nil
}
