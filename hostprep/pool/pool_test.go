package pool

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/pages"
)

func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		host string
		want State
	}{
		"one node": {oneNode, State{
			Globals: []Global{{pages.Size2MiB, 100, 60, 0, 0, 0}, {pages.Size1GiB, 0, 0, 0, 0, 0}},
			Pools:   []Pool{{0, pages.Size2MiB, 100, 60, 0}, {0, pages.Size1GiB, 0, 0, 0}},
		}},
		"two nodes, of which one has no 1 GiB pages": {twoNodes, State{
			Globals: []Global{{pages.Size2MiB, 40, 30, 5, 4, 8}, {pages.Size1GiB, 1, 1, 0, 0, 0}},
			Pools:   []Pool{{0, pages.Size2MiB, 10, 6, 4}, {1, pages.Size2MiB, 30, 24, 0}, {1, pages.Size1GiB, 1, 1, 0}},
		}},
		"a kernel without hugetlb": {"-- sys/devices/system/node/node0/meminfo --\n", State{}},
		"a kernel without NUMA": {"-- pools --\nall 2048 40 30 5 4 8\n", State{
			Globals: []Global{{pages.Size2MiB, 40, 30, 5, 4, 8}},
			Pools:   []Pool{{0, pages.Size2MiB, 40, 30, 4}},
		}},
		"a count of reserved pages below 0": {"-- pools --\nall 2048 40 30 18446744073709551614 4 8\n", State{
			Globals: []Global{{pages.Size2MiB, 40, 30, 0, 4, 8}},
			Pools:   []Pool{{0, pages.Size2MiB, 40, 30, 4}},
		}},
		"files beside the sizes": {"-- pools --\nall 64 1 1 0 0 0\n-- sys/kernel/mm/hugepages/hugepages-2MB/nr_hugepages --\n1\n-- sys/kernel/mm/hugepages/README --\n", State{
			Globals: []Global{{pages.SizeOfKiB(64), 1, 1, 0, 0, 0}},
			Pools:   []Pool{{0, pages.SizeOfKiB(64), 1, 1, 0}},
		}},
	} {
		got, err := Read(fixture(t, test.host))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// A number that can't be read is an error that names the file and shows the
// bad text, never a zero.
func TestReadJunk(t *testing.T) {
	for file, text := range map[string]string{
		"sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages":                    "12 pages",
		"sys/devices/system/node/node0/hugepages/hugepages-2048kB/surplus_hugepages": "",
	} {
		root := fixture(t, oneNode)
		write(t, root.Path(file), text)
		_, err := Read(root)
		if want := root.Path(file) + `: "` + text + `" is not a number`; err == nil || err.Error() != want {
			t.Errorf("%v\nnot\n%s", err, want)
		}
		must(t, os.Remove(root.Path(file)))
		if _, err := Read(root); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("without %s: %v", file, err)
		}
	}
}

func TestState(t *testing.T) {
	state, err := Read(fixture(t, twoNodes))
	must(t, err)
	if diff := cmp.Diff([]pages.Size{pages.Size2MiB, pages.Size1GiB}, state.Sizes()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 1}, state.Nodes(pages.Size2MiB)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1}, state.Nodes(pages.Size1GiB)); diff != "" {
		t.Error(diff)
	}
	if p, ok := state.Pool(0, pages.Size2MiB); !ok || p.Persistent() != 6 {
		t.Errorf("%v, %v: 4 of its 10 pages are surplus", p, ok)
	}
	if p, ok := state.Pool(0, pages.Size1GiB); ok {
		t.Errorf("node 0 has %v", p)
	}
	if g, ok := state.Global(pages.SizeOfKiB(64)); ok || g.Size != pages.SizeOfKiB(64) || g.Available() != 0 {
		t.Errorf("%v, %v, of a size that the kernel has not", g, ok)
	}
}

func TestAvailable(t *testing.T) {
	for _, test := range []struct {
		Global
		want int64
	}{
		{Global{Total: 100, Free: 60}, 60},
		{Global{Total: 100, Free: 60, Reserved: 25}, 35},
		{Global{Total: 100, Free: 60, Overcommit: 10}, 70},
		{Global{Total: 104, Free: 60, Surplus: 4, Overcommit: 10}, 66},
		// Overcommit was lowered below the surplus that is there: it gives
		// nothing, and takes nothing from the free pages.
		{Global{Total: 150, Free: 60, Surplus: 50, Overcommit: 30}, 60},
	} {
		if got := test.Available(); got != test.want {
			t.Errorf("%+v: %d, not %d", test.Global, got, test.want)
		}
	}
}
