package capacity

import (
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// What lies in the areas says how much is moved for a guest, and how long that takes.
func TestEmptying(t *testing.T) {
	for _, row := range []struct {
		name             string
		total, free, had int64 // GiB of the area, of it free, and pages of 1 GiB
		n                int64
		want             string
	}{
		{"all is free", 16, 16, 0, 8, ""},
		{"all but pages of 1 GiB is free", 16, 12, 4, 8, ""},
		{"as much as is needed may be free", 16, 8, 0, 8, "the kernel moves up to 8 GiB of other memory out of its area, in up to 32 s"},
		{"less is free", 16, 4, 0, 8, "the kernel moves 4 GiB to 8 GiB of other memory out of its area, in 2 to 32 s"},
		{"all of it", 16, 4, 4, 12, "the kernel moves 8 GiB of other memory out of its area, in 4 to 32 s"},
		{"nothing is free", 16, 0, 0, 2, "the kernel moves 2 GiB of other memory out of its area, in 1 to 8 s"},
	} {
		e := Emptying{free: row.free * pages.GiB, other: (row.total - row.free - row.had) * pages.GiB}
		if got := e.Words(row.n); got != row.want {
			t.Errorf("%s: %s", row.name, got)
		}
	}
	const area = "-- proc/cmdline --\nhugetlb_cma=8G\n-- proc/meminfo --\nMemTotal: 16384000 kB\nCmaTotal: 8388608 kB\nCmaFree: 3145728 kB\n"
	e, there, err := ReadEmptying(host.Host{Root: hosttest.Unpack(t, "one-node", area)})
	if want := (Emptying{3 * pages.GiB, 5 * pages.GiB}); e != want || !there || err != nil {
		t.Errorf("%v %v %v", e, there, err)
	}
	for name, edits := range map[string]string{
		"without an area":                  "",
		"with one that could not be had":   "-- proc/cmdline --\nhugetlb_cma=8G\n-- proc/meminfo --\nMemTotal: 16384000 kB\nCmaTotal: 0 kB\nCmaFree: 0 kB\n",
		"with one for other uses (cma=)":   "-- proc/cmdline --\ncma=64M\n-- proc/meminfo --\nMemTotal: 16384000 kB\nCmaTotal: 65536 kB\nCmaFree: 65536 kB\n",
		"on a kernel that is not built so": "-- proc/cmdline --\nhugetlb_cma=8G\n",
	} {
		if _, there, err := ReadEmptying(host.Host{Root: hosttest.Unpack(t, "one-node", edits)}); there || err != nil {
			t.Errorf("%s: %v %v", name, there, err)
		}
	}
}
