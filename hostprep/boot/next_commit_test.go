package boot

import (
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// What the pools may have at the next boot follows from the settings of that boot.
func TestNextCommit(t *testing.T) {
	const meminfo = "-- proc/meminfo --\nMemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 1 kB\nHugepagesize: 2048 kB\nSwapTotal: 1048576 kB\nCommitLimit: 1 kB\nCommitted_AS: 3145728 kB\n"
	const never = "-- proc/sys/vm/overcommit_memory --\n2\n"
	const tuned = "-- etc/tuned/active_profile --\nweb\n-- etc/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n-- etc/tuned/web/tuned.conf --\n[sysctl]\nvm.overcommit_memory=2\n"
	for name, test := range map[string]struct {
		edits string
		want  int64
	}{
		"as now":               {never, 11 * pages.GiB},
		"no longer":            {never + "-- etc/sysctl.d/10-a.conf --\nvm.overcommit_memory = 0\n", host.NoLimit},
		"from then on":         {"-- etc/sysctl.d/10-a.conf --\nvm.overcommit_memory = 2\n", 11 * pages.GiB},
		"tuned":                {tuned, 11 * pages.GiB},
		"another ratio":        {"-- etc/sysctl.d/10-a.conf --\nvm.overcommit_memory=2\nvm.overcommit_ratio=25\n", 6 * pages.GiB},
		"a fixed limit":        {never + "-- etc/sysctl.d/10-a.conf --\nvm.overcommit_kbytes=4000000\n", host.NoLimit},
		"the ratio once more":  {never + "-- etc/sysctl.d/10-a.conf --\nvm.overcommit_kbytes=4000000\nvm.overcommit_ratio=50\n", 11 * pages.GiB},
		"never":                {"", host.NoLimit},
		"a fixed limit, today": {never + "-- proc/sys/vm/overcommit_kbytes --\n4000000\n-- proc/sys/vm/overcommit_ratio --\n0\n", host.NoLimit},
	} {
		c, err := NextCommit(host.Host{Root: hosttest.Unpack(t, "one-node", meminfo+test.edits)})
		if got := c.PoolRoom(2 * pages.GiB); err != nil || got != test.want {
			t.Errorf("%s: %d, not %d; %v", name, got, test.want, err)
		}
	}
}
