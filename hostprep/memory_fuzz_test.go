package hostprep

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/pages"
)

const buddyinfo = `Node 0, zone      DMA      0      0      0      0      0      0      0      0      1      1      3
Node 0, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
Node 1, zone   Normal      5      4      3      2      1      0      0      0      0      2      0
`

func TestBuddyinfo(t *testing.T) {
	zones, err := parseBuddyinfo(strings.NewReader(buddyinfo))
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
		if got := blocks(zones, row.nodes, row.size, 4096); got != row.want {
			t.Errorf("%s on %v: %d, not %d", row.size, row.nodes, got, row.want)
		}
	}
}

func FuzzBuddyinfo(f *testing.F) {
	f.Add(buddyinfo)
	f.Add("Node 0, zone Normal 1099511627775 1099511627775\nNode 4095, zone x 0")
	f.Fuzz(func(t *testing.T, text string) {
		zones, err := parseBuddyinfo(strings.NewReader(text))
		if err == nil && blocks(zones, nil, pages.Size2MiB, 4096) > 0 && len(zones) == 0 {
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
