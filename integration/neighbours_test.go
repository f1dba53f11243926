package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/hosttest"
)

// TestHeldNeighbours starts, looks at and stops a guest while processes beside it hold
// the locks of their memory maps, so that reading their command lines blocks for ever: one
// of an ordinary user, which claims to be the guest, and one of root's.
func TestHeldNeighbours(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 10)
	installHook(t)
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	uuid, err := dom.GetUUIDString()
	if err != nil {
		t.Fatal(err)
	}
	hosttest.HeldProcess(t, 65534, "-uuid", uuid)
	hosttest.HeldProcess(t, 0, "-uuid", "00000000-0000-4000-8000-000000000001")
	within := func(what string, do func()) {
		began := time.Now()
		do()
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("%s takes %s", what, took)
		}
	}
	within("check", func() { done(t, "check", name) })
	within("the start", func() { startPaused(t, dom) })
	if e := lastCall(t, name); e.Operation != "prepare" || e.Result != hook.Held || e.Microseconds > 4e6 {
		t.Errorf("the log says %+v", e)
	}
	within("status", func() {
		if out := done(t, "status", name).Stdout; !strings.Contains(out, "100 %") {
			t.Errorf("status says\n%s", out)
		}
	})
	within("check --host", func() { vmhuge(t, "check") })
	wantClaims(t, name+" in-use")
	within("the end", func() { destroy(t, dom) })
	wantClaims(t)
	if e := lastCall(t, name); e.Operation != "release" || e.Result != hook.Released || e.Owed != 0 || e.Microseconds > 4e6 {
		t.Errorf("the log says %+v", e)
	}
}

// TestPoolSetByAnother writes the pool's count anew, as sysctl does, while guests run on
// pages of which vmhuge has added some: their end leaves the count that was set.
func TestPoolSetByAnother(t *testing.T) {
	rows := map[string]struct{ before, guests, written int }{
		"to-what-was-there":        {6, 1, 6},
		"where-nothing-was":        {0, 1, 5},
		"to-less-than-was":         {6, 1, 3},
		"to-more-than-the-guest's": {3, 1, 40},
		"below-two-guests":         {2, 2, 7},
		"to-what-was-below-two":    {6, 2, 6},
		"between-two-guests":       {6, 2, 50},
	}
	for _, name := range sampledNames(t, rows) {
		t.Run(name, func(t *testing.T) {
			row := rows[name]
			hostAsBefore(t)
			setPages(t, 0, size2M, row.before)
			was := readTestPools(t)[size2M].Nodes[0].Total
			installHook(t)
			another := define(t, guest{name: guestPrefix + "another", backing: pages2M})
			var doms []*libvirt.Domain
			for i := range row.guests {
				doms = append(doms, define(t, guest{name: fmt.Sprint(guestPrefix, i), backing: pages2M}))
				startPaused(t, doms[i])
			}
			writeNode(t, 0, was+row.written-row.before)
			if got := pagesOf(t, pidOf(t, doms[0])); got[size2M] != 32 {
				t.Errorf("it runs on %v", got)
			}
			startPaused(t, another) // the pool grows again, and these are vmhuge's
			for _, dom := range append(doms, another) {
				destroy(t, dom)
			}
			wantClaims(t)
			if got := readTestPools(t)[size2M].Nodes[0]; got.Total != was+row.written-row.before || got.Surplus != 0 {
				t.Errorf("the pool is %+v; it had %d pages, %d of them free, and was set to %d free", got, was, row.before, row.written)
			}
			writeNode(t, 0, was)
		})
	}
}

// writeNode sets a node's pool, as a program does that knows nothing of vmhuge. Pages in
// use beyond that number become surplus.
func writeNode(t *testing.T, node, n int) {
	t.Helper()
	if err := os.WriteFile(nodePoolDir(node, size2M)+"/nr_hugepages", []byte(strconv.Itoa(n)), 0); err != nil {
		t.Fatal(err)
	}
}

// TestPoolSetBySysctl sets the number of sysctl's files while a guest runs, and the
// hook's log says so.
func TestPoolSetBySysctl(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 10)
	installHook(t)
	dom := define(t, guest{backing: pages2M})
	before := readTestPools(t)[size2M].Nodes[0]
	startPaused(t, dom)
	const file = "/etc/sysctl.d/50-others.conf"
	t.Cleanup(func() { _ = os.Remove(file) })
	if err := os.WriteFile(file, fmt.Appendf(nil, "vm.nr_hugepages = %d\n", before.Total), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sysctl", "-q", "-p", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	destroy(t, dom)
	wantClaims(t)
	if got := readTestPools(t)[size2M].Nodes[0]; got != before {
		t.Errorf("the pool is %+v, and was set to %+v", got, before)
	}
	if e := lastCall(t, nameOf(t, dom)); !strings.Contains(e.Why, "sysctl, as "+file+" asks,") || e.Given != 0 {
		t.Errorf("the log says %+v", e)
	}
}

// TestHungMount runs what there is of vmhuge, and a start, beside a file system whose server
// does not answer: of other mounts than hugetlbfs vmhuge reads the line alone.
func TestHungMount(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 10)
	installHook(t)
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	hung := hosttest.HungMount(t)
	go func() { _ = unix.Statfs(hung, new(unix.Statfs_t)) }() // one who waits already
	began := time.Now()
	startPaused(t, dom)
	destroy(t, dom)
	for _, args := range [][]string{
		{"check"}, {"check", name}, {"start", "--paused", name}, {"status"}, {"verify", name}, {"stop", "--force", "--timeout", "0s", name},
		{"plan", name}, {"advise", name}, {"hook", "status"}, {"prepare", "--dry-run", "--persist", name}, {"prepare", "--pages", "12"}, {"undo"}, {"uninstall", "--dry-run"},
	} {
		was := time.Now()
		r := vmhuge(t, args...)
		if took := time.Since(was); took > 20*time.Second {
			t.Errorf("vmhuge %q takes %s: %+v", args, took, r)
		}
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("all takes %s", took)
	}
	wantClaims(t)
}
