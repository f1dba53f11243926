package pool

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

func TestMain(m *testing.M) {
	hosttest.HoldMap()
	os.Exit(m.Run())
}

const nobody = 65534

// TestHeldProcesses has processes hold the locks of their memory maps, which makes the
// readers of their command lines wait for ever.
func TestHeldProcesses(t *testing.T) {
	hosttest.NeedRoot(t)
	hosttest.HeldProcess(t, nobody, "-uuid", web1)
	began := time.Now()
	guests, err := FindGuests("/")
	must(t, err)
	if took := time.Since(began); guests[web1].PID != 0 || took > 500*time.Millisecond {
		t.Errorf("a user's process is not to be waited for: %d, %s", guests[web1].PID, took)
	}

	root, _ := hosttest.HeldProcess(t, 0, "-uuid", web1)
	began = time.Now()
	g := newGuests("/")
	pid, held := g.find(Claim{UUID: web1, Name: "held"})
	if took := time.Since(began); pid != 0 || !held || took > 3*time.Second {
		t.Errorf("root's: %d, %v, %s", pid, held, took)
	}
	if _, err := hostfs.Root("/").ReadProcess(root, "smaps"); err == nil {
		t.Error("it does not hold its map")
	}
}

// TestClaimsOfHeld keeps what is claimed for guests that may be a process which can't
// be read, and only while it is there.
func TestClaimsOfHeld(t *testing.T) {
	hosttest.NeedRoot(t)
	pid, _ := hosttest.HeldProcess(t, 0, "-uuid", web1)
	root := fixture(t, oneNode, us(), process(pid, 88))
	must(t, os.Symlink("/usr/bin/qemu-system-x86_64", root.Path("proc", strconv.Itoa(pid), "exe")))
	must(t, os.Symlink("/proc/"+strconv.Itoa(pid)+"/cmdline", root.Path("proc", strconv.Itoa(pid), "cmdline")))
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: Process{600, 5}, Takes: takes(30)}))
	must(t, l.Grow(t.Context(), web1, []Need{{Size: pages.Size2MiB, Pages: 20}}, Effort{}))
	must(t, l.Started(web1))
	l.Close()
	began := time.Now()
	if l = open(t, root); len(l.claims) != 1 || l.claims[0].Phase != Starting || nr(t, root, 0, 2048) != 120 || time.Since(began) > 2*time.Second {
		t.Errorf("%+v, %d pages, %s", l.claims, nr(t, root, 0, 2048), time.Since(began))
	}
	must(t, l.Audit())
	if diff := cmp.Diff([]int{pid}, l.Unread()); diff != "" {
		t.Error(diff)
	}
	l.Close()

	// libvirt has noted which guest it is.
	hosttest.WriteFile(t, root.Path("run/libvirt/qemu/web1.pid"), strconv.Itoa(pid))
	hosttest.WriteFile(t, root.Path("run/libvirt/qemu/web1.xml"), fmt.Sprintf("<domstatus state='running' pid='%d'>\n<domain type='qemu' id='1'>\n<uuid>%s</uuid>", pid, web1))
	if claims, err := ReadClaims(root); err != nil || len(claims) != 1 || claims[0].PID != pid {
		t.Errorf("%+v, %v", claims, err)
	}
	must(t, os.RemoveAll(root.Path("run/libvirt")))
	must(t, os.RemoveAll(root.Path("proc", strconv.Itoa(pid))))
	if l = open(t, root); len(l.claims) != 0 || nr(t, root, 0, 2048) != 100 {
		t.Errorf("it is gone: %+v, %d pages", l.claims, nr(t, root, 0, 2048))
	}
}

// TestWhoIsAGuest starts processes that say they are a guest.
func TestWhoIsAGuest(t *testing.T) {
	hosttest.NeedRoot(t)
	ours, theirs := hosttest.FakeQEMU(t, 0, "-uuid", db1), hosttest.FakeQEMU(t, nobody, "-uuid", web1)
	guests, err := FindGuests("/")
	must(t, err)
	if guests[db1].PID != ours || guests[web1].PID != 0 {
		t.Errorf("root's is %d, a user's %d", guests[db1].PID, guests[web1].PID)
	}
	g := newGuests("/")
	if runs, held := g.runsAs(web1, theirs); runs || held {
		t.Error("a user's process keeps the pages of a claim")
	}
	// exec's QEMU may have given up root.
	self, err := FindProcess("/", os.Getpid())
	must(t, err)
	if pid, _ := g.find(Claim{UUID: web1, Name: "web1", Owner: self}); pid != theirs {
		t.Errorf("the child of who answers for the claim: %d", pid)
	}
	self.Start++
	if pid, _ := g.find(Claim{UUID: web1, Name: "web1", Owner: self}); pid != 0 {
		t.Errorf("another's child: %d", pid)
	}
}

// TestUsersOfGuests has a guest with a user of its own, which libvirt has started.
func TestUsersOfGuests(t *testing.T) {
	hosttest.NeedRoot(t)
	root := fixture(t, oneNode, qemu(700, web1), qemu(800, db1), qemu(900, web1))
	must(t, os.Chown(root.Path("proc/700"), nobody, nobody))
	must(t, os.Chown(root.Path("proc/800"), nobody, nobody))
	hosttest.WriteFile(t, root.Path("run/libvirt/qemu/web1.pid"), "700")
	hosttest.WriteFile(t, root.Path("run/libvirt/qemu/db1.pid"), "800")
	must(t, os.Chown(root.Path("run/libvirt/qemu/db1.pid"), nobody, nobody)) // not libvirt's
	guests, err := FindGuests(root)
	must(t, err)
	if diff := cmp.Diff(map[string]Process{web1: {700, 88}}, guests); diff != "" {
		t.Error(diff)
	}
	hosttest.WriteFile(t, root.Path("var/lib/libvirt/qemu/x"), "")
	must(t, os.Chown(root.Path("var/lib/libvirt/qemu"), nobody, nobody))
	guests, err = FindGuests(root)
	must(t, err)
	if diff := cmp.Diff(map[string]Process{web1: {700, 88}, db1: {800, 88}}, guests); diff != "" {
		t.Errorf("QEMU's user: %s", diff)
	}
}
