package integration

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
)

// memoryLimits starts a guest below limits of its memory, on a kernel that does not count
// huge pages as memory, and on one that does, one page below and one above what it needs.
func memoryLimits(t *testing.T) {
	const ram, page = 128 << 20, 2 << 20
	hostAsBefore(t)
	setPages(t, 0, size2M, ram/page)
	// try says what check thinks of a limit, and whether the guest starts.
	try := func(kind string, limit int) (severity hostprep.Severity, err error) {
		t.Helper()
		t.Run(fmt.Sprintf("%s-%d", kind, limit>>20), func(t *testing.T) {
			dom := define(t, guest{memory: fmt.Sprintf("<memory unit='B'>%d</memory>", ram), backing: pages2M,
				more: fmt.Sprintf("<memtune><%s unit='B'>%d</%s></memtune>", kind, limit, kind)})
			for _, f := range checked(t, domainName(t)).Findings {
				if f.Check == "memory-cgroup" {
					severity = f.Severity
				}
			}
			began := time.Now()
			if err = tryStartPaused(dom); err == nil {
				err = dom.Destroy()
			}
			t.Logf("the RAM and %d MiB: %q, then %v after %s", (limit-ram)>>20, severity, err, time.Since(began).Round(100*time.Millisecond))
		})
		return severity, err
	}
	want := func(kind string, limit int, says hostprep.Severity, starts bool) {
		t.Helper()
		if severity, err := try(kind, limit); severity != says || starts != (err == nil) {
			t.Errorf("%s of the RAM and %d MiB: check says %q, not %q, and %v", kind, (limit-ram)>>20, severity, says, err)
		}
	}
	want("hard_limit", ram-page, "", true)
	countHugetlb(t)
	want("hard_limit", ram-page, hostprep.Blocker, false)
	want("hard_limit", ram, hostprep.Blocker, false)
	want("hard_limit", ram+80*page, "", true)
	want("soft_limit", ram+80*page, "", true)
	want("soft_limit", ram+8*page, hostprep.Warning, true)
	least, most := ram, ram+20*page
	said := map[int]hostprep.Severity{}
	for most-least > page { // one page below what it needs, and one above
		limit := (least + most) / 2 / page * page
		severity, err := try("hard_limit", limit)
		said[limit] = severity
		if err == nil {
			most = limit
		} else {
			least = limit
		}
	}
	t.Logf("it starts with a limit of its RAM and %d MiB, and not with %d", (most-ram)>>20, (least-ram)>>20)
	for limit, severity := range said {
		if limit <= least && severity == "" {
			t.Errorf("check says nothing of a limit of its RAM and %d MiB, and it does not start", (limit-ram)>>20)
		}
		if limit >= most && severity == hostprep.Blocker {
			t.Errorf("check says that it would not start with a limit of its RAM and %d MiB, and it does", (limit-ram)>>20)
		}
	}
}

// countHugetlb mounts cgroup2 so that it counts huge pages as memory until the test ends.
func countHugetlb(t *testing.T) {
	t.Helper()
	mount := func(options string) {
		if err := unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", unix.MS_REMOUNT, options); err != nil {
			t.Fatal(err)
		}
	}
	mount("memory_hugetlb_accounting")
	t.Cleanup(func() { mount("") })
}
