package integration

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

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

// TestPoolSetByAnother writes the pool's count anew, as sysctl does, while a guest runs
// on pages of which vmhuge has added some: its end leaves the count that was set.
func TestPoolSetByAnother(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 10)
	installHook(t)
	second := define(t, guest{name: guestPrefix + "second", backing: pages2M})
	dom := define(t, guest{backing: pages2M})
	before := readTestPools(t)[size2M]
	if len(before.Nodes) != 1 {
		t.Skip("the count of sysctl is for all nodes together")
	}
	startPaused(t, dom)
	// As sysctl --system does. A number that no file has might be of a program that
	// takes back pages of its own.
	total := strconv.Itoa(before.Nodes[0].Total)
	const file = "/etc/sysctl.d/50-others.conf"
	t.Cleanup(func() { _ = os.Remove(file) })
	for name, text := range map[string]string{file: "vm.nr_hugepages = " + total + "\n", "/proc/sys/vm/nr_hugepages": total} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := pagesOf(t, pidOf(t, dom)); got[size2M] != 32 {
		t.Errorf("it runs on %v", got)
	}
	startPaused(t, second) // the pool grows again, and these are vmhuge's
	destroy(t, second)
	destroy(t, dom)
	wantClaims(t)
	if got := readTestPools(t)[size2M].Nodes[0]; got != before.Nodes[0] {
		t.Errorf("the pool is %+v, and was set to %+v", got, before.Nodes[0])
	}
}
