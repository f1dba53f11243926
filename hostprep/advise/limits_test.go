package advise

import (
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep/hosttest"
)

// What stops a start beside the pools is weighed, and named.
func TestAdviceWithinLimits(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		out   []Choice
		worse []Choice
		says  string
	}{
		"the kernel commits too little": {map[string]string{"proc/sys/vm/overcommit_memory": "2\n", "proc/meminfo": "MemTotal: 16777216 kB\nMemFree: 9437184 kB\nMemAvailable: 12582912 kB\nHugepagesize: 2048 kB\nCommitLimit: 6094848 kB\nCommitted_AS: 5900000 kB\n"},
			[]Choice{ChooseTHP, choose2MiB, Choose1GiB}, []Choice{ChooseNone}, "vm.overcommit_memory is 2, and 190.3 MiB of the 5.8 GiB that the kernel commits are left: on small or transparent huge pages QEMU could not set up its 4 GiB"},
		"a mount's size": {map[string]string{"proc/self/mountinfo": hosttest.RootMounts + "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M,size=1073741824\n"},
			nil, []Choice{choose2MiB}, "/dev/hugepages, mounted with size=1073741824, leaves 512 pages of 2 MiB, and it needs 2048: only vmhuge enable --source memfd does without"},
		"a cgroup's limit": {map[string]string{"proc/self/mountinfo": hosttest.RootMounts + "50 27 0:50 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/machine/hugetlb.2MB.max": "536870912\n", "sys/fs/cgroup/machine/hugetlb.2MB.current": "0\n"},
			[]Choice{choose2MiB}, nil, "/sys/fs/cgroup/machine/hugetlb.2MB.max leaves 256 pages of 2 MiB, and it needs 2048"},
	} {
		laptop := describedHosts(t)[0]
		before, err := Weigh(laptop.host, laptop.guest)
		hosttest.Must(t, err)
		for file, text := range test.files {
			hosttest.WriteFile(t, laptop.host.Root.Path(file), text)
		}
		a, err := Weigh(laptop.host, laptop.guest)
		slices.Sort(a.Out)
		slices.Sort(test.out)
		if err != nil || len(before.Out) > 0 || !slices.Equal(a.Out, test.out) {
			t.Errorf("%s: out are %v, not %v; %v", name, a.Out, test.out, err)
		}
		for _, choice := range test.worse {
			if a.Sums[choice] >= before.Sums[choice] {
				t.Errorf("%s: %s has %d, and had %d", name, choice, a.Sums[choice], before.Sums[choice])
			}
		}
		if !slices.ContainsFunc(a.Reasons, func(r Reason) bool { return strings.Contains(r.Says, test.says) }) {
			t.Errorf("%s: nobody says %q: %+v", name, test.says, a.Reasons)
		}
	}
}
