package pool

import (
	"testing"

	"vmhuge/internal/pages"
)

// What is left for guests on hosts of the usual sizes.
func TestReserve(t *testing.T) {
	for total, want := range map[int64]int64{4: 2, 32: 30, 64: 62, 128: 125, 256: 252, 1024: 1014} {
		if got := total - Reserve(total*pages.GiB)/pages.GiB; got != want {
			t.Errorf("of %d GiB guests get %d, not %d", total, got, want)
		}
	}
	if Reserve(64*pages.GiB+1) < Reserve(64*pages.GiB) {
		t.Error("a larger host keeps less")
	}
}

func TestHeadroom(t *testing.T) {
	const gib = pages.GiB
	pool := func(pages2M, pages1G int64) State {
		return State{Globals: []Global{{Size: pages.Size2MiB, Total: pages2M}, {Size: pages.Size1GiB, Total: pages1G}}}
	}
	for name, test := range map[string]struct {
		state            State
		total, available int64
		want             int64
	}{
		"an idle host":                {pool(0, 0), 32 * gib, 31 * gib, 30 * gib},
		"256 GiB":                     {pool(0, 0), 256 * gib, 255 * gib, 252 * gib},
		"pools of both sizes count":   {pool(1024, 10), 32 * gib, 19 * gib, 18 * gib},
		"little is available":         {pool(0, 0), 32 * gib, 4 * gib, 4*gib - gib/2},
		"less than a quarter":         {pool(0, 0), 32 * gib, gib / 4, 0},
		"a host smaller than reserve": {pool(0, 0), gib, gib, 0},
		"pools above the limit":       {pool(0, 31), 32 * gib, gib, 0},
	} {
		if got := Headroom(test.state, test.total, test.available, Reserve(test.total), 0); got != test.want {
			t.Errorf("%s: %d MiB, not %d", name, got/pages.MiB, test.want/pages.MiB)
		}
	}
	if got := Headroom(pool(0, 0), 8*gib, 8*gib, 6*gib, 0); got != 2*gib {
		t.Errorf("with a reserve of 6 of 8 GiB: %d MiB", got/pages.MiB)
	}
}
