package boot

import (
	"fmt"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// Beside an area the kernel passes over pages of 1 GiB at boot: they are not counted as
// reserved, and vmhuge's service has the area give its own.
func TestBesideAnArea(t *testing.T) {
	const noCMA, failed, there = "", "CmaTotal: 0 kB\nCmaFree: 0 kB\n", "CmaTotal: 8388608 kB\nCmaFree: 8388608 kB\n"
	const both = "hugetlb_cma=8G hugepagesz=1G hugepages=4"
	for name, test := range map[string]struct{ cmdline, cma, release, reserves, plan string }{
		"an area":           {both, there, "6.12.0", "", ""},
		"too small an area": {"hugetlb_cma=512M hugepagesz=1G hugepages=4", failed, "6.12.0", "4 1 GiB", "hugepagesz=1G hugepages=2"},
		"one that failed":   {both, failed, "6.12.0", "4 1 GiB", "hugepagesz=1G hugepages=2"},
		"a kernel without":  {both, noCMA, "6.12.0", "4 1 GiB", "hugepagesz=1G hugepages=2"},
		"of the area alone": {both + " hugetlb_cma_only=on", there, "6.15.1", "4 1 GiB", "hugepagesz=1G hugepages=2"},
		"the same, too old": {both + " hugetlb_cma_only=on", there, "6.12.0", "", ""},
		"smaller pages":     {"hugetlb_cma=8G hugepages=4", there, "6.12.0", "4 2 MiB", ""},
		"no pages besides":  {"hugetlb_cma=8G", there, "6.12.0", "", ""},
		"no area":           {"hugepagesz=1G hugepages=4", there, "6.12.0", "4 1 GiB", "hugepagesz=1G hugepages=2"},
	} {
		t.Run(name, func(t *testing.T) {
			root := hosttest.Unpack(t, "one-node", "-- proc/cmdline --\n"+test.cmdline+"\n-- proc/sys/kernel/osrelease --\n"+test.release+
				"\n-- proc/buddyinfo --\nNode 0, zone Normal 1 1 1 1 1 1 1 1 1 1 1\n-- modes --\nrun/systemd/system/ 0755 0:0\n-- proc/meminfo --\nMemTotal: 16384000 kB\nMemFree: 9000000 kB\nMemAvailable: 9900000 kB\nHugepagesize: 2048 kB\n"+test.cma)
			h := host.Host{Root: root}
			all, err := Reservations(h)
			hosttest.Must(t, err)
			var got []string
			for _, r := range all {
				got = append(got, fmt.Sprint(r.Pages, " ", r.Size))
			}
			if text := strings.Join(got, "\n"); text != test.reserves {
				t.Errorf("reserves %q, not %q", text, test.reserves)
			}
			_, onCmdline, err := Table{Pages: []Row{{UUID: "u", Name: "a", Size: pages.Size1GiB, Pages: 2}}}.split(h)
			hosttest.Must(t, err)
			if text := (options{pages: onCmdline}).words(nil); text != test.plan {
				t.Errorf("plans %q, not %q", text, test.plan)
			}
		})
	}
}

// Where a user is to add vmhuge's options by hand, none is named that the kernel would pass over.
func TestByHandBesideAnArea(t *testing.T) {
	const meminfo = "-- proc/meminfo --\nMemTotal: 16384000 kB\nMemFree: 9000000 kB\nMemAvailable: 9900000 kB\nHugepagesize: 2048 kB\nCmaTotal: 8388608 kB\nCmaFree: 8388608 kB\n"
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- proc/cmdline --\nhugetlb_cma=8G\n-- run/ostree-booted --\n\n"+meminfo)}
	findings, err := cmdlinePlan(h, options{pages: []PoolPages{{pages.Size1GiB, 2, -1}}})
	if err != nil || len(findings) != 1 || findings[0].Do != "take it out there; or let guests take the pages from it, without --persist" {
		t.Errorf("%+v, %v", findings, err)
	}
}
