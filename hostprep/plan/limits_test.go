package plan

import (
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// What guests share beside the pools stops a start too: the size of their hugetlbfs, and limits
// of the cgroups above them.
func TestPlanWithinLimits(t *testing.T) {
	sized := "-- proc/self/mountinfo --\n" + hosttest.RootMounts + "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M,size=1073741824\n"
	cgroup := hosttest.Cgroup2 + hosttest.LimitFile("machine", "max", "current", "1073741824", "536870912")
	memfd := onPages("memfd", 600, pages.Size2MiB, -1)
	memfd.Demand.Items[0].Source = "memfd"
	session := onPages("session", 600, pages.Size2MiB, -1)
	session.Session = true
	on2M := func(name string, n int64) hostprep.Candidate { return onPages(name, n, pages.Size2MiB, -1) }
	for name, test := range map[string]struct {
		edits     string
		guests    []hostprep.Candidate
		fail, why string
	}{
		"a mount with room":           {sized, []hostprep.Candidate{on2M("a", 512)}, "", ""},
		"a page more than its size":   {sized, []hostprep.Candidate{on2M("a", 513)}, "a", "/dev/hugepages, mounted with size=1073741824, leaves 512 pages of 2 MiB, and it needs 513"},
		"two guests that share it":    {sized, []hostprep.Candidate{on2M("a", 300), on2M("b", 213)}, "b", "/dev/hugepages, mounted with size=1073741824, leaves 212 pages of 2 MiB, and it needs 213"},
		"a guest without files":       {sized, []hostprep.Candidate{memfd}, "", ""},
		"a user's guest":              {cgroup, []hostprep.Candidate{session}, "", ""},
		"a cgroup with room":          {cgroup, []hostprep.Candidate{on2M("a", 256)}, "", ""},
		"a cgroup's limit":            {cgroup, []hostprep.Candidate{memfd}, "memfd", "/sys/fs/cgroup/machine/hugetlb.2MB.max leaves 256 pages of 2 MiB, and it needs 600"},
		"a driver that doesn't start": {"-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"\"\n", []hostprep.Candidate{on2M("a", 1)}, "a", `hugetlbfs_mount = "" in /etc/libvirt/qemu.conf keeps libvirt from starting its QEMU driver`},
	} {
		plan, err := Make(host.Host{Root: hosttest.Unpack(t, "one-node", test.edits)}, test.guests, 0)
		if err != nil || plan.FirstFailure != test.fail {
			t.Errorf("%s: %q fails, %v: %+v", name, plan.FirstFailure, err, plan.Guests)
			continue
		}
		if last := plan.Guests[len(plan.Guests)-1]; last.Why != test.why {
			t.Errorf("%s: %q", name, last.Why)
		}
	}
}
