package hostprep

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/pages"
)

const zoneinfo = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 285982
  pages free     3840
        boost    0
        min      29
        low      36
        high     43
        spanned  4095
        present  3998
        managed  3840
        protection: (0, 3019, 24103, 24103, 24103)
      nr_free_pages 3840
  pagesets
    cpu: 0
              count:    0
              high:     2360
              batch:    1
  vm stats threshold: 4
  start_pfn:           1
Node 0, zone   Normal
  pages free     850000
        high     16000
        spanned  5505024
        protection: (0, 0, 0, 0, 0)
  start_pfn:           1048576
`

const pagetypeinfo = `Page block order: 9
Pages per block:  512

Free pages count per migrate type at order       0      1      2      3      4      5      6      7      8      9     10
Node    0, zone   Normal, type    Unmovable     33    280    396      0    107     43     39     19      1      0      0
Node    0, zone   Normal, type      Movable    537 >100000     69      0      0      1    206    176     63    170    701
Node    0, zone   Normal, type   HighAtomic      0      0      0      0      0      0      0      0      0      8     10

Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate
Node 0, zone      DMA            1            7            0            0            0
Node 0, zone   Normal           67         4121           60           28            0
`

func TestZoneinfo(t *testing.T) {
	got, err := parseZoneinfo(strings.NewReader(zoneinfo))
	want := []ZoneLimits{
		{Node: 0, Name: "DMA", Kept: 24146, Free: 3840, Start: 1, Spanned: 4095, Present: 3998},
		{Node: 0, Name: "Normal", Kept: 16000, Free: 850000, Start: 1048576, Spanned: 5505024},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func FuzzZoneinfo(f *testing.F) {
	f.Add(zoneinfo)
	f.Add("Node 4096, zone x\n pages free -1\n protection: ()")
	f.Fuzz(func(t *testing.T, text string) {
		zones, err := parseZoneinfo(strings.NewReader(text))
		for _, z := range zones {
			if err == nil && (z.Kept < 0 || z.Free < 0 || z.Start < 0 || z.ranges(pages.Size2MiB, 4096) < 0) {
				t.Errorf("%+v", z)
			}
		}
	})
}

func FuzzPagetypeinfo(f *testing.F) {
	f.Add(pagetypeinfo)
	f.Add("Node 0, zone x, type y >1\nNumber of blocks type\nNode 0, zone x 1")
	f.Fuzz(func(t *testing.T, text string) {
		types, err := parsePagetypeinfo(strings.NewReader(text))
		for _, ty := range types {
			for _, n := range ty.Free {
				if err == nil && n < 0 {
					t.Errorf("%+v", ty)
				}
			}
		}
	})
}

// The fixture's zone Normal has 178 free blocks of 2 MiB and 711 of 4 MiB; 8 and
// 10 of them are set apart. What DMA has free is for those who can't use Normal.
func TestGrowth(t *testing.T) {
	for _, row := range []struct {
		name     string
		edit     string
		headroom int64 // bytes
		size     pages.Size
		want     CouldMake
	}{
		{"an ordinary user", "", 8 * pages.GiB, pages.Size2MiB, CouldMake{1600, 4096}},
		{"root, and of 4096 pages 2048 are in the pool", "-- proc/pagetypeinfo --\n" + pagetypeinfo, 8 * pages.GiB, pages.Size2MiB, CouldMake{1572, 7 + 4121 + 8 + 2*10 - 2048}},
		{"memory that the kernel has not set up yet", "-- proc/zoneinfo --\n" + strings.Replace(zoneinfo, "        spanned  5505024\n", "        spanned  5505024\n        present  5000000\n", 1) + "-- proc/pagetypeinfo --\n" + pagetypeinfo, 50 * pages.GiB, pages.Size2MiB, CouldMake{1572, 7 + (5000000-67*512)/512 - 2048}},
		{"a zone with little free", "-- proc/zoneinfo --\n" + strings.Replace(zoneinfo, "850000", "21120", 1), 8 * pages.GiB, pages.Size2MiB, CouldMake{10, 4096}},
		{"little headroom", "", pages.GiB, pages.Size2MiB, CouldMake{512, 512}},
		{"1 GiB: at most as many as lie in one zone, and none is sure", "", 50 * pages.GiB, pages.Size1GiB, CouldMake{0, 21}},
		{"1 GiB: the pool's own are not made again", "-- pools --\n0 1048576 20 0 0\n", 50 * pages.GiB, pages.Size1GiB, CouldMake{0, 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			host := Host{Root: fixture(t, "one-node", "-- proc/buddyinfo --\n"+buddyinfo+"-- proc/zoneinfo --\n"+zoneinfo+row.edit)}
			growth, err := host.Growth(row.headroom/pages.KiB, 2*pages.GiB)
			if got := growth.On(row.size, nil); err != nil || got != row.want {
				t.Errorf("%+v, %v; want %+v", got, err, row.want)
			}
			if got := growth.On(row.size, []int{1}); got != (CouldMake{}) {
				t.Errorf("%+v on a node that is not there", got)
			}
		})
	}
}

func TestCouldMakeWords(t *testing.T) {
	for could, want := range map[CouldMake]string{
		{0, 0}:     "the kernel could make no more",
		{0, 9}:     "the kernel could make 9 more at most, after compaction",
		{9, 9}:     "the kernel could make 9 more",
		{310, 900}: "the kernel could make 310 more now, 900 after compaction",
	} {
		if got := could.words(); got != want {
			t.Errorf("%+v: %s", could, got)
		}
	}
}
