package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/journal"
	hostpool "vmhuge/hostprep/pool"
	"vmhuge/hostprep/prepare"
	"vmhuge/internal/hostfs"
)

// newAccount makes a user whom no group of the machine has, with a home.
func newAccount(t *testing.T, name string, id uint32) nobody {
	t.Helper()
	u := newUser(t, id)
	for file, line := range map[string]string{
		"/etc/passwd": fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", name, id, id, u.home),
		"/etc/group":  fmt.Sprintf("%s:x:%d:\n", name, id),
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write := func(text []byte) error { return os.WriteFile(file, text, 0o644) }
		t.Cleanup(func() {
			if err := write(text); err != nil {
				t.Error(err)
			}
		})
		if err := write(append(bytes.Clone(text), line...)); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// TestPrepareUser gives a fresh user pages: for a file-backed guest of the user's
// own libvirt, and for plain QEMU with -mem-path. Nobody else gets in, and undo
// takes all away.
func TestPrepareUser(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	const name, folder = "dora", mount2M + "/dora"
	u := newAccount(t, name, 4711)
	host := host.Host{Root: hostfs.Root("/")}
	prepare := func() prepare.Result {
		t.Helper()
		done, err := prepare.Do(t.Context(), host, prepare.Options{User: name}, hostpool.Effort{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range done.Findings {
			if f.Severity != hostprep.Note {
				t.Errorf("left: %+v", f)
			}
		}
		return done
	}
	if done := prepare(); len(done.Changed) == 0 {
		t.Error("nothing was to be done for a fresh user")
	}
	if done := prepare(); len(done.Changed) > 0 {
		t.Errorf("done again: %v", done.Changed)
	}

	vmhuge := filepath.Join(scratch, "bin", "vmhuge")
	path := filepath.Join(u.home, "mine.xml")
	if err := os.WriteFile(path, []byte(guest{name: "mine", backing: pages2M}.xml()), 0o644); err != nil {
		t.Fatal(err)
	}
	u.run(0, "virsh", "-c", "qemu:///session", "define", path)
	if out := u.run(0, vmhuge, "start", "-c", "qemu:///session", "--paused", "mine"); !strings.Contains(out, "all 64 MiB of its RAM on huge pages") {
		t.Errorf("start:\n%s", out)
	}
	if out := u.run(0, "virsh", "-c", "qemu:///session", "domxml-to-native", "qemu-argv", "--domain", "mine"); !strings.Contains(out, folder) {
		t.Errorf("its memory is not below %s:\n%s", folder, out)
	}
	if done := prepare(); len(done.Changed) > 0 {
		t.Errorf("done again beside a guest: %v", done.Changed)
	}
	u.run(0, vmhuge, "stop", "-c", "qemu:///session", "--force", "--timeout", "0s", "mine")
	u.run(0, "virsh", "-c", "qemu:///session", "undefine", "mine")

	qemu := exec.Command("qemu-system-x86_64", "-machine", "q35,accel=tcg", "-m", "64", "-mem-path", folder, "-mem-prealloc", "-S", "-nodefaults", "-display", "none")
	qemu.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.id, Gid: u.id}}
	if err := qemu.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "plain QEMU has its pages", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", qemu.Process.Pid))
		return err == nil && strings.Contains(string(status), "HugetlbPages:\t   65536 kB")
	})
	_ = qemu.Process.Signal(unix.SIGTERM)
	_ = qemu.Wait()
	newNobody(t).run(2, "ls", folder+"/libvirt")

	undone, left, err := (journal.Journal{Host: host}).Undo()
	if err != nil || len(undone) == 0 {
		t.Errorf("undone %v, %v", undone, err)
	}
	for _, l := range left { // the user's libvirt has made its own folders there
		if l.Again || !strings.HasPrefix(l.Change.Path, filepath.Join(u.home, ".config")) {
			t.Errorf("left %+v", l)
		}
	}
	for _, gone := range []string{folder, filepath.Join(u.home, ".config", "libvirt", "qemu.conf")} {
		if _, err := os.Lstat(gone); !os.IsNotExist(err) {
			t.Errorf("%s: %v", gone, err)
		}
	}
}
