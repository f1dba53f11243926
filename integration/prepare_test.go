package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vmhuge/launcher"
)

// freePages is how many pages of 2 MiB nobody uses.
func freePages(t *testing.T) int { return readTestPools(t)[size2M].Nodes[0].Free }

// TestPrepare allocates pages for guests that virsh starts, and frees them.
func TestPrepare(t *testing.T) {
	hostAsBefore(t)
	defer vmhuge(t, "undo") // also of a test that fails
	free := freePages(t)
	each := 32 + free // more than what is there already
	g := guest{memory: fmt.Sprintf("<memory unit='MiB'>%d</memory>", 2*each), backing: pages2M}
	g.name = guestPrefix + "web"
	web := define(t, g)
	g.name = guestPrefix + "db"
	db := define(t, g)

	if r := done(t, "prepare", nameOf(t, web), nameOf(t, db), "--dry-run"); !strings.Contains(r.Stdout, "would: echo") || freePages(t) != free {
		t.Errorf("a dry run: %s", r.Stdout)
	}
	if r := done(t, "prepare", nameOf(t, web), nameOf(t, db)); !strings.Contains(r.Stdout, "prepare: done: echo") || freePages(t) != 2*each {
		t.Errorf("%d pages are free: %s", freePages(t), r.Stdout)
	}
	if r := done(t, "prepare", nameOf(t, web), nameOf(t, db)); !strings.Contains(r.Stdout, "prepare: nothing to do") || freePages(t) != 2*each {
		t.Errorf("%d pages are free: %s", freePages(t), r.Stdout)
	}
	startPaused(t, web)
	startPaused(t, db)
	destroy(t, db)
	if freePages(t) != each {
		t.Errorf("with one guest %d pages are free", freePages(t))
	}
	// The other guest's pages are owed until it ends.
	if r := done(t, "undo"); !strings.Contains(r.Stdout, "in use, and will be freed when their guests stop") {
		t.Errorf("undo: %s", r.Stdout)
	}
	destroy(t, web)
	done(t, "status")
	if r := done(t, "undo"); !strings.Contains(r.Stdout, "nothing to undo") {
		t.Errorf("undo: %s", r.Stdout)
	}
}

// TestPreparePages has the pool reach a number, not grow by it.
func TestPreparePages(t *testing.T) {
	hostAsBefore(t)
	defer vmhuge(t, "undo") // also of a test that fails
	total := readTestPools(t)[size2M].Nodes[0].Total
	want := []string{"prepare", "--pages", strconv.Itoa(total + 8), "--size", "2M", "--node", "0"}
	done(t, want...)
	if r := done(t, want...); !strings.Contains(r.Stdout, "nothing to do") || readTestPools(t)[size2M].Nodes[0].Total != total+8 {
		t.Errorf("%+v: %s", readTestPools(t)[size2M], r.Stdout)
	}
	refused(t, 2, []string{"--size, --node and --for need --pages"}, "prepare", "--size", "2M")
	if r := vmhuge(t, "prepare", "--pages", "100000000", "--size", "2M"); r.Code != 4 || !strings.Contains(r.Stdout, "of which the host keeps") {
		t.Errorf("%+v", r)
	}
}

// TestPrepareOvercommit adds no pages, and a plain start gets them from the kernel all the same.
func TestPrepareOvercommit(t *testing.T) {
	hostAsBefore(t)
	defer vmhuge(t, "undo")   // also of a test that fails
	setPages(t, 0, size2M, 0) // or a machine that has free pages needs nothing
	total := readTestPools(t)[size2M].Nodes[0].Total
	dom := define(t, guest{backing: pages2M})
	prepare := []string{"prepare", nameOf(t, dom), "--overcommit"}
	if r := done(t, prepare...); !strings.Contains(r.Stdout, "nr_overcommit_hugepages") || readTestPools(t)[size2M].Nodes[0].Total != total {
		t.Errorf("%+v: %s", readTestPools(t)[size2M], r.Stdout)
	}
	if r := done(t, prepare...); strings.Contains(r.Stdout, "done: ") {
		t.Errorf("again: %s", r.Stdout)
	}
	startPaused(t, dom)
	destroy(t, dom)
	if r := done(t, "undo"); !strings.Contains(r.Stdout, "nr_overcommit_hugepages") {
		t.Error(r.Stdout)
	}
}

// TestPrepareForAProgram keeps pages for a program, whoever starts guests beside it, and
// counts those once that the program has.
func TestPrepareForAProgram(t *testing.T) {
	hostAsBefore(t)
	defer vmhuge(t, "undo") // also of a test that fails
	setPages(t, 0, size2M, 20)
	total := readTestPools(t)[size2M].Nodes[0].Total
	installHook(t)
	held := func(n int) {
		t.Helper()
		var status launcher.Status
		if err := json.Unmarshal([]byte(done(t, "status", "--json").Stdout), &status); err != nil {
			t.Fatal(err)
		}
		if r := status.Reservations; len(r) != 1 || r[0].For != "ovs" || r[0].Pages != 24 || r[0].HeldBack != int64(n) || freePages(t) < n {
			t.Errorf("%d pages are free, and reserved %+v; of those %d should be held back", freePages(t), r, n)
		}
	}
	reserve := []string{"prepare", "--pages", "24", "--size", "2M", "--node", "0", "--for", "ovs"}
	if r := done(t, reserve...); !strings.Contains(r.Stdout, "done: reserve 24 pages of 2 MiB on node 0 for ovs") || freePages(t) != 24 {
		t.Errorf("%d pages are free: %s", freePages(t), r.Stdout)
	}
	held(24)
	dom := define(t, guest{backing: pages2M})
	startPaused(t, dom) // by way of the hook
	if freePages(t) != 24 {
		t.Errorf("%d pages are free", freePages(t))
	}
	held(24)
	use(t, 0, size2M, 9) // as the program does, which is this process
	held(15)
	if r := done(t, reserve...); !strings.Contains(r.Stdout, "nothing to do") {
		t.Error(r.Stdout)
	}
	destroy(t, dom)
	wantClaims(t, "vmhuge prepare prepared", "ovs reserved")
	done(t, "start", "--paused", nameOf(t, dom))
	held(15)
	if r := done(t, "undo"); !strings.Contains(r.Stdout, "undo: the reservation of 24 pages of 2 MiB on node 0 for ovs") {
		t.Error(r.Stdout)
	}
	stopNow(t, nameOf(t, dom))
	if got := readTestPools(t)[size2M].Nodes[0].Total; got != total {
		t.Errorf("the pool has %d pages, and had %d", got, total)
	}
}

// TestPreparePersist writes for the next boot what the host has now, and the unit's
// command brings it back.
func TestPreparePersist(t *testing.T) {
	hostAsBefore(t)
	defer vmhuge(t, "undo")
	before := files(t, "/etc")
	web := define(t, guest{backing: pages2M, name: guestPrefix + "web"})
	free := freePages(t)
	r := done(t, "prepare", nameOf(t, web), "--persist")
	for _, words := range []string{"edit /etc/fstab: +'hugetlbfs /var/lib/hugepages2M hugetlbfs nosuid,nodev,pagesize=2M 0 0'", "/etc/vmhuge/boot.json", "/etc/sysctl.d/99-vmhuge.conf"} {
		if !strings.Contains(r.Stdout, words) {
			t.Errorf("no %q in: %s", words, r.Stdout)
		}
	}
	after := files(t, "/etc")
	if r := done(t, "prepare", nameOf(t, web), "--persist"); !strings.Contains(r.Stdout, "nothing to do") {
		t.Errorf("again: %s", r.Stdout)
	}
	if now := files(t, "/etc"); now != after {
		t.Errorf("a second run wrote:\n%s\nwas\n%s", now, after)
	}
	done(t, "undo")
	if now := files(t, "/etc"); now != before || freePages(t) != free {
		t.Errorf("undone, %d pages are free, and\n%s\nwas\n%s", freePages(t), now, before)
	}

	// As after a boot on which sysctl has made those of another file, and not ours:
	// the unit gets them.
	others := fmt.Sprintf("vm.nr_hugepages = %d\n", readTestPools(t)[size2M].Nodes[0].Total)
	if err := os.WriteFile("/etc/sysctl.d/50-others.conf", []byte(others), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/etc/sysctl.d/50-others.conf")
	done(t, "prepare", nameOf(t, web), "--persist")
	table, err := os.ReadFile("/etc/vmhuge/boot.json")
	if err != nil {
		t.Fatal(err)
	}
	done(t, "undo")
	if err := os.MkdirAll("/etc/vmhuge", 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll("/etc/vmhuge")
	if err := os.WriteFile("/etc/vmhuge/boot.json", table, 0o644); err != nil {
		t.Fatal(err)
	}
	done(t, "prepare", "--boot")
	if freePages(t) != free+32 {
		t.Errorf("at boot %d pages are free, not %d", freePages(t), free+32)
	}
	startPaused(t, web)
	destroy(t, web)
	done(t, "undo")
	if freePages(t) != free {
		t.Errorf("%d pages are free, and %d were", freePages(t), free)
	}
}

// TestPrepareKilled kills prepare at any moment. Both must work then: undo reverts what was
// done, or a second run does the rest.
func TestPrepareKilled(t *testing.T) {
	hostAsBefore(t)
	defer vmhuge(t, "undo")
	web := define(t, guest{backing: pages2M, name: guestPrefix + "web"})
	etc, free := files(t, "/etc"), freePages(t)
	done(t, "prepare", nameOf(t, web), "--persist")
	complete := files(t, "/etc")
	done(t, "undo")
	for round := range 12 {
		cmd := exec.Command(filepath.Join(scratch, "bin", "vmhuge"), "prepare", nameOf(t, web), "--persist")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if round%2 == 0 {
			done(t, "prepare", nameOf(t, web), "--persist")
			if now := files(t, "/etc"); now != complete {
				t.Errorf("killed and run again:\n%s\nnot\n%s", now, complete)
			}
		}
		done(t, "undo")
		if now := files(t, "/etc"); now != etc || freePages(t) != free {
			t.Fatalf("killed and undone, %d pages are free, not %d, and\n%s\nnot\n%s", freePages(t), free, now, etc)
		}
	}
}

// files lists all below a folder but libvirt's, with what is in it.
func files(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("find", dir, "-path", "/etc/libvirt", "-prune", "-o", "-type", "f", "-exec", "sha256sum", "{}", "+",
		"-o", "-printf", "%p %y %m %u %g %l\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
