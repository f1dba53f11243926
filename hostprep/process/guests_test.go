package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

func TestMain(m *testing.M) {
	hosttest.HoldMap()
	os.Exit(m.Run())
}

const nobody = 65534

// fixture unpacks processes. The arguments in a cmdline end with a zero byte, and stand on
// a line each here; what stands first is the program.
func fixture(t *testing.T, texts ...string) hostfs.Root {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(strings.Join(texts, ""))).Files {
		text, proc := string(f.Data), filepath.Join(dir, filepath.Dir(f.Name))
		if strings.HasSuffix(f.Name, "/cmdline") {
			program, _, _ := strings.Cut(text, "\n")
			must(t, os.MkdirAll(proc, 0o755))
			if program != "" {
				must(t, os.Symlink(program, filepath.Join(proc, "exe")))
			}
			text = strings.ReplaceAll(text, "\n", "\x00")
		}
		hosttest.WriteFile(t, filepath.Join(dir, f.Name), text)
	}
	return hostfs.Root(dir)
}

// stat is a process as /proc shows it.
func stat(pid int, start uint64) string {
	return fmt.Sprintf("-- proc/%d/stat --\n%d (x) S 1 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 %d 1 1\n", pid, pid, start)
}

// qemu is a running guest.
func qemu(pid int, uuid string) string {
	return stat(pid, 88) + fmt.Sprintf("-- proc/%d/cmdline --\n/usr/bin/qemu-system-x86_64\n-name\nguest=a\n-uuid\n%s\n", pid, uuid)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestHeldProcesses has processes hold the locks of their memory maps, which makes the
// readers of their command lines wait for ever.
func TestHeldProcesses(t *testing.T) {
	hosttest.NeedRoot(t)
	uuid := fmt.Sprintf("00000000-0000-4000-8000-%012d", os.Getpid()) // of nobody else on this machine
	user, _ := hosttest.HeldProcess(t, nobody, "-uuid", uuid)
	s, err := scanProcesses("/", newIdentity("/"))
	must(t, err)
	if !slices.Contains(s.strangers, user) || slices.Contains(s.held, user) || s.byUUID[uuid].PID != 0 {
		t.Errorf("a user's process %d is not to be read: %+v", user, s)
	}

	root, _ := hosttest.HeldProcess(t, 0, "-uuid", uuid)
	g := NewGuests("/")
	if pid, held := g.Find(Guest{UUID: uuid, Name: "held"}); pid != 0 || !held || !slices.Contains(g.Unread(), root) {
		t.Errorf("root's: %d, %v, %v", pid, held, g.Unread())
	}
	if all, err := g.All(); !errors.Is(err, hostfs.ErrHeld) {
		t.Errorf("what guests have could be told: %v, %v", all, err)
	}
	if _, err := hostfs.Root("/").ReadProcess(root, "smaps"); err == nil {
		t.Error("it does not hold its map")
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
	g := NewGuests("/")
	if runs, held := g.RunsAs(web1, theirs); runs || held {
		t.Error("a user's process keeps the pages of a claim")
	}
	// exec's QEMU may have given up root.
	self, err := Find("/", os.Getpid())
	must(t, err)
	if pid, _ := g.Find(Guest{UUID: web1, Name: "web1", Owner: self}); pid != theirs {
		t.Errorf("the child of who answers for the claim: %d", pid)
	}
	self.Start++
	if pid, _ := g.Find(Guest{UUID: web1, Name: "web1", Owner: self}); pid != 0 {
		t.Errorf("another's child: %d", pid)
	}
}

// TestUsersOfGuests has a guest with a user of its own, which libvirt has started.
func TestUsersOfGuests(t *testing.T) {
	hosttest.NeedRoot(t)
	root := fixture(t, qemu(700, web1), qemu(800, db1), qemu(900, web1))
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
