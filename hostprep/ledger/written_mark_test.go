package ledger

import (
	"os"
	"testing"
	"time"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// TestNumberForTheHost has another program write a number that changes node 1's pool alone,
// while a guest is on node 0 with 10 pages that were there and 20 of vmhuge's. A number for the
// host has those 20 in it.
func TestNumberForTheHost(t *testing.T) {
	for name, test := range map[string]struct {
		write func(t *testing.T, root hostfs.Root)
		want  [2]int64
	}{
		"nobody":           {func(*testing.T, hostfs.Root) {}, [2]int64{10, 30}},
		"fewer, host":      {func(t *testing.T, root hostfs.Root) { forHost(t, root, 1, 20, 20) }, [2]int64{30, 20}},
		"more, host":       {func(t *testing.T, root hostfs.Root) { forHost(t, root, 1, 450, 450) }, [2]int64{30, 450}},
		"fewer, that node": {func(t *testing.T, root hostfs.Root) { setNode(t, root, 1, 20, 20) }, [2]int64{10, 20}},
		"more, that node":  {func(t *testing.T, root hostfs.Root) { setNode(t, root, 1, 450, 450) }, [2]int64{10, 450}},
		"that node and, a moment later, host": {func(t *testing.T, root hostfs.Root) {
			setNode(t, root, 1, 20, 20)
			open(t, root).Close()
			forHost(t, root, 1, 15, 15)
		}, [2]int64{10, 15}}, // the writer may only just have opened the file of node 1
		"that node and, long after, host": {func(t *testing.T, root hostfs.Root) {
			setNode(t, root, 1, 20, 20)
			age(t, root)
			open(t, root).Close()
			forHost(t, root, 1, 15, 15)
		}, [2]int64{30, 15}},
		"the kernel moves vmhuge's": {func(t *testing.T, root hostfs.Root) {
			forHost(t, root, 0, 10, 0)
			forHost(t, root, 1, 50, 30)
		}, [2]int64{10, 30}},
		"the kernel moves some of vmhuge's": {func(t *testing.T, root hostfs.Root) {
			forHost(t, root, 0, 25, 0)
			forHost(t, root, 1, 35, 30)
		}, [2]int64{10, 30}},
		"the kernel moves all": {func(t *testing.T, root hostfs.Root) {
			forHost(t, root, 0, 0, 0)
			forHost(t, root, 1, 60, 30)
		}, [2]int64{0, 60}},
		"the kernel moves vmhuge's, and sysctl asks for that": {func(t *testing.T, root hostfs.Root) {
			forHost(t, root, 0, 10, 0)
			forHost(t, root, 1, 50, 30)
			write(t, root.Path("etc", "sysctl.d", "20-db.conf"), "vm.nr_hugepages = 60\n")
			write(t, root.Path("proc", "meminfo"), "Hugepagesize:       2048 kB\n")
		}, [2]int64{10, 50}},
		"opened, and written later": {func(t *testing.T, root hostfs.Root) {
			setNode(t, root, 1, 30, 30)
			open(t, root).Close()
			forHost(t, root, 1, 20, 20)
		}, [2]int64{10, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			root, l := guestOnNode0(t)
			age(t, root)
			l.Close()
			test.write(t, root)
			open(t, root).Close()
			must(t, os.RemoveAll(root.Path("proc", "700")))
			for node := range 2 { // all are free now
				n := nr(t, root, node, 2048)
				forHost(t, root, node, n, n)
			}
			open(t, root).Close()
			if n, m := nr(t, root, 0, 2048), nr(t, root, 1, 2048); n != test.want[0] || m != test.want[1] {
				t.Errorf("%d and %d pages are left, not %d", n, m, test.want)
			}
		})
	}
}

// TestOwnWritesKeepTheMark: a pool that vmhuge itself has changed is not one that another
// program has written.
func TestOwnWritesKeepTheMark(t *testing.T) {
	root, l := guestOnNode0(t)
	age(t, root)
	l.Close()
	_, err := pool.SetPersistent(root, 0, pages.Size2MiB, 30, 33)
	must(t, err)
	if !pool.Marked(root, 0, pages.Size2MiB) {
		t.Error("it has taken the mark away")
	}
}

// guestOnNode0 has a guest run on node 0, process 700, with the 10 pages there and 20 that
// vmhuge has added.
func guestOnNode0(t *testing.T) (hostfs.Root, *Ledger) {
	t.Helper()
	root := fixture(t, twoNodesAlike, us(), qemu(700, web1), smapsOf(700, 30))
	l := open(t, root)
	on0 := []int{0}
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: []pool.Take{{Nodes: on0, Size: pages.Size2MiB, Pages: 30}}}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Nodes: on0, Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	setNode(t, root, 0, 30, 0)
	must(t, l.Started(web1))
	return root, l
}

// forHost is how a number for the host changes a node's pool: by another file.
func forHost(t *testing.T, root hostfs.Root, node int, total, free int64) {
	t.Helper()
	file := root.Path(pool.File(root, node, pages.Size2MiB))
	st, err := os.Stat(file)
	must(t, err)
	setNode(t, root, node, total, free)
	must(t, os.Chtimes(file, time.Time{}, st.ModTime()))
}

// age lets two seconds pass since anybody has opened the nodes' files.
func age(t *testing.T, root hostfs.Root) {
	t.Helper()
	for node := range 2 {
		if !pool.Marked(root, node, pages.Size2MiB) {
			must(t, os.Chtimes(root.Path(pool.File(root, node, pages.Size2MiB)), time.Time{}, time.Now().Add(-2*time.Second)))
		}
	}
}
