package integration

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hook"
)

// TestBesideSurplus starts a guest while another program uses pages beyond the pool's count.
// When the pool grows, the kernel first makes these persistent: they must not stay so, whoever
// ends first. If the program begins later, the kernel frees pages of the ending guest in place
// of its own, which are owed until it ends.
func TestBesideSurplus(t *testing.T) {
	const beyond = 3
	for name, row := range map[string]struct {
		used       int  // pages of the pool that another program uses
		endsFirst  bool // the program beyond the count ends before the guest
		overcommit bool
		byHook     bool
		later      bool // the program begins when the guest runs
		armed      bool // the kernel frees the guest's pages
	}{
		"nothing-else":       {armed: true},
		"pages-of-a-third":   {used: 5},
		"by-the-hook":        {used: 5, byHook: true},
		"begins-later":       {used: 5, later: true},
		"ends-first":         {used: 5, endsFirst: true},
		"ends-first-alone":   {endsFirst: true, armed: true},
		"overcommit":         {used: 5, overcommit: true},
		"overcommit-by-hook": {overcommit: true, byHook: true, endsFirst: true},
	} {
		t.Run(name, func(t *testing.T) {
			hostAsBefore(t)
			setPages(t, 0, size2M, row.used)
			use(t, 0, size2M, row.used)
			before := readTestPools(t)[size2M].Nodes[0]
			if row.overcommit {
				overcommit(beyond)(t)
			}
			if row.byHook {
				installHook(t)
			}
			dom := define(t, guest{backing: pages2M})
			other := func() {}
			if !row.later {
				other = useBeyond(t, 0, beyond)
			}
			is := func(when string, persistent, surplus int) {
				t.Helper()
				got := readTestPools(t)[size2M].Nodes[0]
				if got.Total-got.Surplus != before.Total+persistent || got.Surplus != surplus || got.Free != 0 {
					t.Errorf("%s: the pool is %+v; of %d pages that were there %d more should stay, and %d be surplus", when, got, before.Total, persistent, surplus)
				}
			}
			if row.byHook {
				startPaused(t, dom)
				done(t, "status")
			} else {
				done(t, "start", "--paused", nameOf(t, dom))
			}
			if row.later {
				overcommit(beyond)(t)
				other = useOvercommit(t, beyond)
			}
			if row.endsFirst {
				other()
				done(t, "status")
			}
			var said string
			if row.byHook {
				destroy(t, dom)
				if e := lastCall(t, nameOf(t, dom)); e.Result == hook.Released {
					said = strconv.FormatInt(e.Given>>20, 10) + " MiB of huge pages freed"
				}
			} else {
				said = done(t, "stop", "--force", "--timeout", "0s", nameOf(t, dom)).Stdout
			}
			freed := 64
			switch {
			case row.later:
				freed -= 2 * beyond
				wantClaims(t, nameOf(t, dom)+" owed")
				is("after the guest", beyond, 0)
				other()
				done(t, "status")
			case row.endsFirst && row.armed:
			case row.endsFirst:
				freed += 2 * beyond // they were free at the end of the guest
			default:
				is("after the guest", 0, beyond)
				wantClaims(t)
				other()
			}
			if !strings.Contains(said, strconv.Itoa(freed)+" MiB of huge pages freed") {
				t.Errorf("not %d MiB: the end says: %s", freed, said)
			}
			is("after both", 0, 0)
			wantClaims(t)
		})
	}
}

// useOvercommit starts a program that uses pages of which the pool has none free.
func useOvercommit(t *testing.T, n int) (end func()) {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, n*size2M*1024, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() { _ = unix.Munmap(mem) })
	t.Cleanup(end)
	return end
}
