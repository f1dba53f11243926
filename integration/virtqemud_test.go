package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hook"
)

// prefix is where the libvirt of testdata/virtqemud has all its files.
const prefix = "/opt/libvirt"

// TestMicroVMVirtqemud is a guest's life on a libvirt that has nothing in the usual places: its
// daemon is virtqemud, and this program is linked with another libvirt, which connects to /run.
func TestMicroVMVirtqemud(t *testing.T) {
	built := os.Getenv("VIRTQEMUD")
	if built == "" {
		t.Skip("just virtqemud runs it: that builds such a libvirt first")
	}
	if !inMicroVM(t, machine{nodes: 1, nodeMiB: 3072}) {
		return
	}
	hostAsBefore(t)
	installInPrefix(t, built)
	if err := libvirtd.stopLibvirtd(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := libvirtd.startLibvirtd(); err != nil {
			t.Error(err)
		}
	})
	runInPrefix(t, "virtlogd")
	restart := runInPrefix(t, "virtqemud")
	setPages(t, 0, size2M, 0)

	usual := regexp.MustCompile(`(^|[^/\w])(/etc|/run|/var/lib|/var/log)/libvirt\b|libvirtd\b`)
	says := func(want string, args ...string) {
		t.Helper()
		r := vmhuge(t, args...)
		if text := r.Stdout + r.Stderr; !strings.Contains(text, want) || usual.MatchString(text) {
			t.Errorf("vmhuge %q: no %q, or a word of the other libvirt, in\n%s", args, want, text)
		}
	}
	name := domainName(t)
	file := filepath.Join(t.TempDir(), "guest.xml")
	if err := os.WriteFile(file, []byte(guest{name: name}.xml()), 0o600); err != nil {
		t.Fatal(err)
	}
	virsh(t, "define", file)
	t.Cleanup(func() {
		_, _ = virshIn("destroy", name)
		virsh(t, "undefine", name)
	})
	total := func() (n int) {
		for _, node := range readTestPools(t)[size2M].Nodes {
			n += node.Total
		}
		return n
	}
	before := total()

	says("virtqemud (process ", "check", "-v")
	says("", "check", name)
	done(t, "enable", name, "--size", "2M")
	done(t, "start", name)
	done(t, "verify", name)
	says("running  64 MiB  2 MiB", "status")
	done(t, "stop", name, "--force")

	says(prefix+"/etc/libvirt/hooks/qemu.d/90-vmhuge", "hook", "install", "--reload")
	defer func() { _ = vmhuge(t, "hook", "remove") }()
	says(prefix+"/etc/libvirt/hooks/qemu.d/90-vmhuge", "hook", "status")
	waitUntil(t, "virtqemud calls the hook", func() bool {
		_, err := virshIn("start", name)
		return err == nil
	})
	if n := total() - before; n != 32 {
		t.Errorf("the hook has added %d pages", n)
	}
	if e := lastCall(t, name); e.Operation != "prepare" || e.Result != hook.Held {
		t.Errorf("the last call of the hook: %+v", e)
	}
	restart()
	done(t, "verify", name)
	says("/hooks/qemu.d/90-vmhuge, last called at ", "status")
	virsh(t, "destroy", name)
	waitUntil(t, "the hook frees the pages", func() bool { return total() == before })

	writeQEMUConf(t, "hugetlbfs_mount = \"\"\n")
	says("change it in "+prefix+"/etc/libvirt/qemu.conf and restart virtqemud", "check", name)
	writeQEMUConf(t, "")
	done(t, "hook", "remove")
	if _, err := os.Lstat("/etc/vmhuge/libvirt.json"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("hook remove leaves the setting: %v", err)
	}
	done(t, "disable", name)
}

// installInPrefix puts a libvirt where it was built for.
func installInPrefix(t *testing.T, built string) {
	t.Helper()
	if err := unix.Mount("tmpfs", "/opt", "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount("/opt", unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := copyTree(built, prefix); err != nil {
		t.Fatal(err)
	}
	writeQEMUConf(t, "")
}

func writeQEMUConf(t *testing.T, settings string) {
	t.Helper()
	if err := os.WriteFile(prefix+"/etc/libvirt/qemu.conf", []byte("security_driver = \"none\"\nmax_core = 0\n"+settings), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runInPrefix starts a daemon of that libvirt; restart starts it anew.
func runInPrefix(t *testing.T, name string) (restart func()) {
	t.Helper()
	var running *exec.Cmd
	begin := func() {
		t.Helper()
		var err error
		if running, err = startDaemon(prefix + "/sbin/" + name); err != nil {
			t.Fatal(err)
		}
		socket := prefix + "/var/run/libvirt/" + name + "-sock"
		answers := func() bool { _, err := virshIn("list"); return err == nil }
		waitUntil(t, name+" listens", func() bool {
			_, err := os.Lstat(socket)
			return err == nil && (name != "virtqemud" || answers())
		})
	}
	end := func() {
		if err := stopDaemon(running); err != nil {
			t.Error(err)
		}
	}
	begin()
	t.Cleanup(end)
	return func() { end(); begin() }
}

// virsh runs that of the prefix, and virshIn may fail.
func virsh(t *testing.T, args ...string) {
	t.Helper()
	if out, err := virshIn(args...); err != nil {
		t.Fatalf("virsh %q: %v\n%s", args, err, out)
	}
}

func virshIn(args ...string) ([]byte, error) {
	return exec.Command(prefix+"/bin/virsh", append([]string{"-c", "qemu:///system"}, args...)...).CombinedOutput()
}
