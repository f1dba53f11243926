package prepare

import (
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Freed page structs are offered where many pages stay reserved, and asked for only of a
// kernel that can free them.
func TestPageStructs(t *testing.T) {
	const large = "-- proc/meminfo --\nMemTotal: 67108864 kB\nMemAvailable: 62914560 kB\nHugepagesize: 2048 kB\n"
	const can, does = "-- proc/sys/vm/hugetlb_optimize_vmemmap --\n0\n", "-- proc/sys/vm/hugetlb_optimize_vmemmap --\n1\n"
	on, off := true, false
	for _, row := range []struct {
		name, edits string
		pages       int64 // of 2 MiB
		overcommit  bool
		free        *bool
		want        string // in the findings; "": nothing of page structs
	}{
		{"a kernel that can't", large, 16384, false, nil, ""},
		{"one that could", large + can, 16384, false, nil, "it could free 448 MiB of them, needed: hugetlb_free_vmemmap=on, if these pages stay reserved"},
		{"of few pages", large + can, 1000, false, nil, ""},
		{"of pages that come and go", large + can, 16384, true, nil, ""},
		{"that does", large + does, 16384, false, nil, ""},
		{"that shall", large + can, 16384, false, &on, "page structs freed"},
		{"that shall not", large + can, 16384, false, &off, "448 MiB"},
		{"that shall, but can't", large, 16384, false, &on, "CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "one-node", row.edits)}
			findings, _ := Plan(h, Options{Persist: true, FreeStructs: row.free, Overcommit: row.overcommit, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: row.pages}}})
			var text []string
			for _, f := range findings {
				text = append(text, f.Have+", needed: "+f.Need)
			}
			if got := strings.Join(text, "\n"); !strings.Contains(got, row.want) || row.want == "" && strings.Contains(got, "page structs") {
				t.Error(got)
			}
		})
	}
}
