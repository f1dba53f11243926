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

// Where vm.overcommit_memory is 2, each page lowers CommitLimit by overcommit_ratio of its size,
// and the pools grow no further than the host can bear.
func TestHeadroomByCommit(t *testing.T) {
	const meminfo = "-- proc/meminfo --\nMemTotal: 16384000 kB\nMemFree: 11000000 kB\nMemAvailable: 12288000 kB\nHugepagesize: 2048 kB\nCommitLimit: 6094848 kB\n"
	const never = "-- proc/sys/vm/overcommit_memory --\n2\n"
	const reserve = 2 * pages.GiB
	for name, test := range map[string]struct {
		edits    string
		want     int64
		byCommit bool
	}{
		"no limit":                  {meminfo + "Committed_AS: 5900000 kB\n", 9856 << 10, false},
		"less than the reserve":     {meminfo + "Committed_AS: 5900000 kB\n" + never, 0, true},
		"more than is committed":    {meminfo + "Committed_AS: 7000000 kB\n" + never, 0, true},
		"half of a page's size":     {meminfo + "Committed_AS: 5046272 kB\n" + never, 1 << 20, true},
		"all of a page's size":      {meminfo + "Committed_AS: 5046272 kB\n" + never + "-- proc/sys/vm/overcommit_ratio --\n100\n", 1 << 19, true},
		"a limit that stays":        {meminfo + "Committed_AS: 5900000 kB\n" + never + "-- proc/sys/vm/overcommit_kbytes --\n6094848\n", 9856 << 10, false},
		"a limit of swap alone":     {meminfo + "Committed_AS: 5900000 kB\n" + never + "-- proc/sys/vm/overcommit_ratio --\n0\n", 9856 << 10, false},
		"memory is what is missing": {meminfo + "Committed_AS: 0 kB\n" + never, 9856 << 10, false},
	} {
		t.Run(name, func(t *testing.T) {
			var a hostprep.Allowance
			hosttest.Must(t, Keep(&a, host.Host{Root: hosttest.Unpack(t, "one-node", test.edits)}, reserve))
			if a.HeadroomKiB != test.want || a.ByCommit != test.byCommit || a.Reserve != reserve {
				t.Errorf("%+v, not %d, %t", a, test.want, test.byCommit)
			}
			short := BeyondHeadroom([]pool.Need{{Size: pages.Size1GiB, Pages: 100}}, a)
			if short == nil || strings.Contains(short.Error(), pool.ByCommit) != test.byCommit {
				t.Errorf("%v", short)
			}
		})
	}
}
