package integration

import (
	"strconv"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// preparedOnNodes has the pools of both nodes end up even, as a dry run has said.
func preparedOnNodes(t *testing.T) {
	hostAsBefore(t)
	defer vmhuge(t, "undo")
	setPages(t, 0, size2M, 5)
	setPages(t, 1, size2M, 7)
	want := []string{"prepare", "--pages", "40", "--size", "2M"}
	dry := done(t, append(want, "--dry-run")...).Stdout
	for node := range 2 {
		if line := "would: echo 20 > " + nodePoolDir(node, size2M) + "/nr_hugepages"; !strings.Contains(dry, line) {
			t.Errorf("%q is not in:\n%s", line, dry)
		}
	}
	done(t, want...)
	wantNodes(t, "prepared", nodePool{Total: 20, Free: 20}, nodePool{Total: 20, Free: 20})
	if r := vmhuge(t, "prepare", "--pages", "100000", "--size", "2M", "--node", "1", "--dry-run"); r.Code != 4 {
		t.Errorf("more than the node has: %+v", r)
	}
	done(t, "undo")
	wantNodes(t, "undone", nodePool{Total: 5, Free: 5}, nodePool{Total: 7, Free: 7})
}

// preparedWithinCommit holds the kernel to lower CommitLimit with each page, and vmhuge to stop
// before that comes near to what is committed.
func preparedWithinCommit(t *testing.T) {
	hostAsBefore(t)
	defer vmhuge(t, "undo")
	read := func() host.Commit {
		commit, err := host.Host{Root: "/"}.Commit()
		if err != nil {
			t.Fatal(err)
		}
		return commit
	}
	mem, err := host.Host{Root: "/"}.Meminfo()
	if err != nil {
		t.Fatal(err)
	}
	setPages(t, 0, size2M, 0)
	setPages(t, 1, size2M, 0)
	ratio := (read().Committed+400*pages.MiB)*100/mem.Total + 1
	sysctl("vm/overcommit_ratio", strconv.FormatInt(ratio, 10))(t)
	sysctl("vm/overcommit_memory", "2")(t)
	before := read()
	setPages(t, 0, size2M, 50)
	if fell, want := before.Limit-read().Limit, 100*pages.MiB*ratio/100; fell < want-pages.MiB || fell > want+pages.MiB {
		t.Errorf("50 pages of 2 MiB lower CommitLimit by %d KiB, not %d", fell/pages.KiB, want/pages.KiB)
	}
	setPages(t, 0, size2M, 0)
	for _, more := range []string{"", "--dry-run"} {
		r := vmhuge(t, strings.Fields("prepare --pages 300 --size 2M "+more)...)
		if r.Code != 4 || !strings.Contains(r.Stdout, "vm.overcommit_memory is 2") {
			t.Errorf("with %d %%: %+v", ratio, r)
		}
	}
}
