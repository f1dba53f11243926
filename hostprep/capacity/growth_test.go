package capacity

import (
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// The fixture's zone Normal has 178 free blocks of 2 MiB and 711 of 4 MiB; 8 and
// 10 of them are set apart. What DMA has free is for those who can't use Normal.
func TestGrowth(t *testing.T) {
	for _, row := range []struct {
		name     string
		edit     string
		headroom int64 // bytes
		size     pages.Size
		want     hostprep.CouldMake
	}{
		{"an ordinary user", "", 8 * pages.GiB, pages.Size2MiB, hostprep.CouldMake{Now: 1600, Compacted: 4096}},
		{"root, and of 4096 pages 2048 are in the pool", "-- proc/pagetypeinfo --\n" + hosttest.Pagetypeinfo, 8 * pages.GiB, pages.Size2MiB, hostprep.CouldMake{Now: 1572, Compacted: 7 + 4121 + 8 + 2*10 - 2048}},
		{"memory that the kernel has not set up yet", "-- proc/zoneinfo --\n" + strings.Replace(hosttest.Zoneinfo, "        spanned  5505024\n", "        spanned  5505024\n        present  5000000\n", 1) + "-- proc/pagetypeinfo --\n" + hosttest.Pagetypeinfo, 50 * pages.GiB, pages.Size2MiB, hostprep.CouldMake{Now: 1572, Compacted: 7 + (5000000-67*512)/512 - 2048}},
		{"a zone with little free", "-- proc/zoneinfo --\n" + strings.Replace(hosttest.Zoneinfo, "850000", "21120", 1), 8 * pages.GiB, pages.Size2MiB, hostprep.CouldMake{Now: 10, Compacted: 4096}},
		{"little headroom", "", pages.GiB, pages.Size2MiB, hostprep.CouldMake{Now: 512, Compacted: 512}},
		{"1 GiB: at most as many as lie in one zone, and none is sure", "", 50 * pages.GiB, pages.Size1GiB, hostprep.CouldMake{Now: 0, Compacted: 21}},
		{"1 GiB: 2.67 GiB are free in an area that is kept for them", "-- proc/cmdline --\nhugetlb_cma=8G\n-- proc/meminfo --\nMemTotal: 16384000 kB\nCmaTotal: 8388608 kB\nCmaFree: 2800000 kB\n", 50 * pages.GiB, pages.Size1GiB, hostprep.CouldMake{Now: 2, Compacted: 21}},
		{"1 GiB: none where only what can move may be", "-- proc/zoneinfo --\n" + strings.Replace(hosttest.Zoneinfo, "Normal", "Movable", 1), 50 * pages.GiB, pages.Size1GiB, hostprep.CouldMake{}},
		{"1 GiB: but with vm.movable_gigantic_pages", "-- proc/sys/vm/movable_gigantic_pages --\n1\n-- proc/zoneinfo --\n" + strings.Replace(hosttest.Zoneinfo, "Normal", "Movable", 1), 50 * pages.GiB, pages.Size1GiB, hostprep.CouldMake{Now: 0, Compacted: 21}},
		{"1 GiB: the pool's own are not made again", "-- pools --\n0 1048576 20 0 0\n", 50 * pages.GiB, pages.Size1GiB, hostprep.CouldMake{Now: 0, Compacted: 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			host := host.Host{Root: hosttest.Unpack(t, "one-node", "-- proc/buddyinfo --\n"+hosttest.Buddyinfo+"-- proc/zoneinfo --\n"+hosttest.Zoneinfo+row.edit)}
			growth, err := ReadGrowth(host, row.headroom/pages.KiB, 2*pages.GiB)
			if got := growth.On(row.size, nil); err != nil || got != row.want {
				t.Errorf("%+v, %v; want %+v", got, err, row.want)
			}
			if got := growth.On(row.size, []int{1}); got != (hostprep.CouldMake{}) {
				t.Errorf("%+v on a node that is not there", got)
			}
		})
	}
}

// While the kernel waits in a write of a size, it makes no page of that size, and of others as many
// as ever.
func TestGrowthBesideAStuckWrite(t *testing.T) {
	const waits = "-- run/vmhuge/writing-1048576kB.json --\n" + `{"pid":4711,"start":"88","file":"/sys/it","left":true}` +
		"\n-- proc/4711/stat --\n4711 (exe) D 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 88 1 1\n"
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- proc/buddyinfo --\n"+hosttest.Buddyinfo+"-- proc/zoneinfo --\n"+hosttest.Zoneinfo+waits)}
	for _, whole := range []bool{false, true} {
		needs := []pool.Need{{Size: pages.Size2MiB, Pages: 9}, {Size: pages.Size1GiB, Pages: 1}}
		growth, err := Foresee(h, hostprep.Allowance{HeadroomKiB: 50 * pages.GiB / pages.KiB, Reserve: 2 * pages.GiB}, needs, whole)
		hosttest.Must(t, err)
		if short := growth.Missing(needs); short == nil || short.Size != pages.Size1GiB || short.Stuck == nil || short.Stuck.PID != 4711 {
			t.Errorf("%+v", short)
		}
	}
}

// What takes the kernel's lock is not read where 1600 blocks are free and half of them are needed.
func TestForeseePlenty(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- proc/buddyinfo --\n"+hosttest.Buddyinfo+"-- proc/zoneinfo --\n"+hosttest.Zoneinfo+"-- proc/pagetypeinfo --\nPages per block: many\n")}
	for _, row := range []struct {
		need  pool.Need
		reads bool
	}{
		{pool.Need{Size: pages.Size2MiB, Pages: 800}, false},
		{pool.Need{Size: pages.Size2MiB, Pages: 801}, true},
		{pool.Need{Size: pages.Size2MiB, Pages: 1, Nodes: []int{1}}, true},
		{pool.Need{Size: pages.Size1GiB, Pages: 1}, true},
	} {
		needs := []pool.Need{{Size: pages.Size2MiB, Pages: 1}, row.need}
		if _, err := Foresee(h, hostprep.Allowance{HeadroomKiB: 8 * pages.GiB / pages.KiB}, needs, true); (err != nil) != row.reads {
			t.Errorf("%+v: %v", row.need, err)
		}
	}
}

func TestCouldMakeWords(t *testing.T) {
	for could, want := range map[hostprep.CouldMake]string{
		{Now: 0, Compacted: 0}:     "the kernel could allocate no more",
		{Now: 0, Compacted: 9}:     "the kernel could allocate 9 more at most, after compaction",
		{Now: 9, Compacted: 9}:     "the kernel could allocate 9 more",
		{Now: 310, Compacted: 900}: "the kernel could allocate 310 more now, 900 after compaction",
	} {
		if got := could.Words(); got != want {
			t.Errorf("%+v: %s", could, got)
		}
	}
}
