package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/launcher"
)

// nobody is an ordinary user with a home and a libvirtd of its own, which
// libvirt starts when it is asked for.
type nobody struct {
	t    *testing.T
	home string
	id   uint32
}

const nobodyID = 65534

func newNobody(t *testing.T) nobody { return newUser(t, nobodyID) }

func newUser(t *testing.T, id uint32) nobody {
	home, err := os.MkdirTemp("/var/lib/libvirt", "nobody-") // its path is short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, int(id), int(id)); err != nil {
		t.Fatal(err)
	}
	n := nobody{t, home, id}
	t.Cleanup(func() {
		var pid int
		if err := readNumber(filepath.Join(home, "libvirt", "libvirtd.pid"), &pid); err == nil {
			_ = unix.Kill(pid, unix.SIGTERM)
			waitUntil(t, "the user's libvirtd ends", func() bool { return unix.Kill(pid, 0) != nil })
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n nobody) run(wantCode int, args ...string) string {
	n.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.home, "XDG_RUNTIME_DIR=" + n.home, "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: n.id, Gid: n.id}}
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != wantCode {
		n.t.Fatalf("%q as user %d: exit code %d, want %d\n%s", args, n.id, code, wantCode, out)
	}
	return string(out)
}

// TestNoPermission asks the system's libvirtd for what only root may.
func TestNoPermission(t *testing.T) {
	hostAsBefore(t)
	n := newNobody(t)
	const socket = "/run/libvirt/libvirt-sock"
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(socket, info.Mode()) })
	// First polkit refuses, or is not there; then the socket itself.
	for _, mode := range []os.FileMode{0o777, 0o700} {
		if err := os.Chmod(socket, mode); err != nil {
			t.Fatal(err)
		}
		out := n.run(1, filepath.Join(scratch, "bin", "vmhuge"), "check", "-c", "qemu:///system", "web1")
		if !strings.Contains(out, "run as root, or join the group libvirt") || strings.Count(out, "\n") != 1 {
			t.Errorf("check as nobody: %s", out)
		}
	}
}

// TestSession runs a guest of an unprivileged libvirtd: no mount, no ledger,
// only pages that are there.
func TestSession(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 31)
	n := newNobody(t)
	vmhuge := filepath.Join(scratch, "bin", "vmhuge")
	g := guest{name: "mine"}
	path := filepath.Join(n.home, "mine.xml")
	if err := os.WriteFile(path, []byte(g.xml()), 0o644); err != nil {
		t.Fatal(err)
	}
	n.run(0, "virsh", "-c", "qemu:///session", "define", path)
	defer n.run(0, "virsh", "-c", "qemu:///session", "undefine", "mine")
	if out := n.run(0, vmhuge, "enable", "-c", "qemu:///session", "mine"); !strings.Contains(out, "+    <source type='memfd'/>") {
		t.Errorf("enable takes no memfd:\n%s", out)
	}
	var answer struct{ Domains []launcher.Report }
	out := n.run(4, vmhuge, "start", "-c", "qemu:///session", "--json", "mine")
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Domains[0].Verdict != hostprep.NoMemory ||
		!strings.Contains(answer.Domains[0].Findings[0].Do, "as root: echo 32 >") {
		t.Errorf("start of one page too few: %v\n%s", err, out)
	}
	setPages(t, 0, size2M, 32)
	out = n.run(0, vmhuge, "start", "-c", "qemu:///session", "--paused", "mine")
	if !strings.Contains(out, "all 64 MiB of its RAM on huge pages") {
		t.Errorf("start:\n%s", out)
	}
	n.run(0, vmhuge, "stop", "-c", "qemu:///session", "--force", "--timeout", "0s", "mine")
	n.run(0, vmhuge, "disable", "-c", "qemu:///session", "mine")
}
