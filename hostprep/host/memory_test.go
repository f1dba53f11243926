package host

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

func TestBuddyinfo(t *testing.T) {
	zones, err := parseBuddyinfo(strings.NewReader(hosttest.Buddyinfo))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		nodes []int
		size  pages.Size
		want  int64
	}{
		{nil, pages.Size2MiB, 1 + 2*3 + 178 + 2*711 + 2},
		{[]int{1}, pages.Size2MiB, 2},
		{[]int{0}, pages.Size2MiB * 2, 3 + 711},
		{nil, pages.Size1GiB, 0},
		{[]int{2}, pages.Size2MiB, 0},
	} {
		if got := Blocks(zones, row.nodes, row.size, 4096); got != row.want {
			t.Errorf("%s on %v: %d, not %d", row.size, row.nodes, got, row.want)
		}
	}
}

func FuzzBuddyinfo(f *testing.F) {
	f.Add(hosttest.Buddyinfo)
	f.Add("Node 0, zone Normal 1099511627775 1099511627775\nNode 4095, zone x 0")
	f.Fuzz(func(t *testing.T, text string) {
		zones, err := parseBuddyinfo(strings.NewReader(text))
		if err == nil && Blocks(zones, nil, pages.Size2MiB, 4096) > 0 && len(zones) == 0 {
			t.Error("blocks of nothing")
		}
	})
}

func TestSwaps(t *testing.T) {
	const headline = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	got, err := parseSwaps(strings.NewReader(headline + "/dev/sda2 partition 8388604 131072 -2\n/swap\\040file file 1024 0 -3\n"))
	if diff := cmp.Diff(Swap{8389628 * pages.KiB, 128 * pages.MiB}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got, err := parseSwaps(strings.NewReader(headline)); err != nil || got != (Swap{}) {
		t.Error(got, err)
	}
}

func FuzzSwaps(f *testing.F) {
	f.Add("Filename\nType\n/dev/sda2 partition 8388604 131072 -2\n")
	f.Add("\na b 1 99999999999999 -2")
	f.Fuzz(func(t *testing.T, text string) {
		if swap, err := parseSwaps(strings.NewReader(text)); err == nil && (swap.Total < 0 || swap.Used < 0) {
			t.Errorf("%+v", swap)
		}
	})
}

func TestUptime(t *testing.T) {
	if got, err := parseUptime("3234.83 4113.62\n"); err != nil || got != 3234*time.Second {
		t.Error(got, err)
	}
}

func FuzzUptime(f *testing.F) {
	f.Add("3234.83 4113.62\n")
	f.Add("8589934591 x")
	f.Fuzz(func(t *testing.T, text string) {
		if up, err := parseUptime(text); err == nil && up < 0 {
			t.Error(up)
		}
	})
}

func TestZoneinfo(t *testing.T) {
	got, err := parseZoneinfo(strings.NewReader(hosttest.Zoneinfo))
	want := []ZoneLimits{
		{Node: 0, Name: "DMA", Kept: 24146, Free: 3840, Start: 1, Spanned: 4095, Present: 3998},
		{Node: 0, Name: "Normal", Kept: 16000, Free: 850000, FreeCMA: 700000, Start: 1048576, Spanned: 5505024},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func FuzzZoneinfo(f *testing.F) {
	f.Add(hosttest.Zoneinfo)
	f.Add("Node 4096, zone x\n pages free -1\n protection: ()")
	f.Fuzz(func(t *testing.T, text string) {
		zones, err := parseZoneinfo(strings.NewReader(text))
		for _, z := range zones {
			if err == nil && (z.Kept < 0 || z.Free < 0 || z.Start < 0 || z.Ranges(pages.Size2MiB, 4096) < 0) {
				t.Errorf("%+v", z)
			}
		}
	})
}

func FuzzPagetypeinfo(f *testing.F) {
	f.Add(hosttest.Pagetypeinfo)
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
