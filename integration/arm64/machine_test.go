// Package arm64 runs vmhuge on an emulated arm64 machine, with kernels of 16 KiB and of 4 KiB
// plain pages: Debian's own libvirtd, QEMU and kernel, and our programs compiled for it.
package arm64

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary runs three times: here, where it boots a machine for each test; as process 1
// of that machine, which reaps orphans; and as its child, which runs the same test.
const insideVar = "VMHUGE_ARM64_INSIDE"

var built struct{ image, programs string }

func TestMain(m *testing.M) {
	var code int
	var err error
	switch {
	case os.Getenv(insideVar) != "":
		code, err = withLibvirtd(m)
	case os.Getpid() == 1:
		err = processOne()
	default:
		code, err = outside(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "arm64 tests:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func outside(m *testing.M) (code int, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return 1, err
	}
	built.image = filepath.Join(cache, "vmhuge", "arm64")
	if out, err := exec.Command("./image", built.image).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the machine: %w\n%s", err, out)
	}
	if built.programs, err = os.MkdirTemp("", "vmhuge-arm64-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(built.programs)) }()
	if err := build(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// build compiles vmhuge against the machine's own libvirt, and its hook and these tests without
// any.
func build() error {
	root := filepath.Join(built.image, "root")
	env := append(os.Environ(), "GOOS=linux", "GOARCH=arm64",
		"CC=aarch64-linux-gnu-gcc --sysroot="+root, "PKG_CONFIG_SYSROOT_DIR="+root,
		"PKG_CONFIG_LIBDIR="+filepath.Join(root, "usr/lib/aarch64-linux-gnu/pkgconfig"))
	for name, args := range map[string][]string{
		"vmhuge":      {"build", "-tags", "urfave_cli_no_docs", "../../cmd/vmhuge"},
		"vmhuge-hook": {"build", "../../cmd/vmhuge-hook"},
		"tests":       {"test", "-c", "."},
	} {
		cgo := "CGO_ENABLED=0"
		if name == "vmhuge" {
			cgo = "CGO_ENABLED=1"
		}
		args = append([]string{args[0], "-buildvcs=false", "-o", filepath.Join(built.programs, name)}, args[1:]...)
		cmd := exec.Command("go", args...)
		cmd.Env = append(env, cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s for arm64: %w\n%s", name, err, out)
		}
	}
	return nil
}

// inMachine returns true in a machine whose kernel has such plain pages. Elsewhere it boots one,
// runs the same test in there, which decides whether this one passes, and returns false.
func inMachine(t *testing.T, plain string) bool {
	t.Helper()
	if os.Getenv(insideVar) != "" {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	defer cancel()
	share := func(tag, dir string) string {
		return "local,path=" + dir + ",mount_tag=" + tag + ",security_model=none,readonly=on,multidevs=remap"
	}
	cmd := exec.CommandContext(ctx, filepath.Join(built.image, "qemu-system-aarch64"),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-M", "virt,gic-version=3", "-cpu", "max", "-accel", "tcg,thread=single,tb-size=256", "-m", "2560M",
		"-kernel", filepath.Join(built.image, "vmlinuz-"+plain), "-initrd", filepath.Join(built.image, "initrd-"+plain+".gz"),
		"-append", "console=ttyAMA0 quiet panic=-1 nokaslr mitigations=off -- -test.v -test.timeout=24m -test.run=^"+t.Name()+"$",
		"-serial", "stdio", "-virtfs", share("machine", filepath.Join(built.image, "root")), "-virtfs", share("given", built.programs))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	passed, ended := false, false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := strings.TrimRight(lines.Text(), "\r")
		t.Log(line)
		passed = passed || strings.HasPrefix(line, "--- PASS: "+t.Name()+" (")
		ended = ended || line == fine
	}
	if err := cmd.Wait(); err != nil || !passed || !ended {
		t.Errorf("in the machine the test passed: %v, all ended well: %v; QEMU: %v", passed, ended, err)
	}
	return false
}

// fine is the machine's last line if all tests in there have passed.
const fine = "arm64 tests: exit code 0"

// processOne runs the tests and reaps every orphan: libvirt waits for a killed QEMU until it is
// gone, and a zombie is not. It turns the machine off; if it ends without, the kernel panics.
func processOne() error {
	if err := os.Setenv("PATH", "/given:"+os.Getenv("PATH")); err != nil {
		return err
	}
	tests := exec.Command("/proc/self/exe", os.Args[1:]...)
	tests.Env = append(os.Environ(), insideVar+"=1")
	tests.Stdout, tests.Stderr = os.Stdout, os.Stderr
	if err := tests.Start(); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err != nil && err != unix.EINTR {
			return err
		}
		if pid == tests.Process.Pid {
			fmt.Printf("\narm64 tests: exit code %d\n", status.ExitStatus())
			return errors.Join(unix.IoctlSetInt(unix.Stdout, unix.TCSBRK, 1), unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
		}
	}
}

// withLibvirtd runs the tests with a libvirtd that has found hugetlbfs where systemd mounts it.
func withLibvirtd(m *testing.M) (int, error) {
	for _, dir := range []string{"/dev/hugepages", "/run/lock", "/var/log/libvirt/qemu", "/var/lib/libvirt"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return 1, err
		}
	}
	if err := unix.Mount("hugetlbfs", "/dev/hugepages", "hugetlbfs", 0, "mode=0755"); err != nil {
		return 1, err
	}
	if err := os.WriteFile("/etc/libvirt/qemu.conf", []byte("security_driver = \"none\"\nmax_core = 0\n"), 0o600); err != nil {
		return 1, err
	}
	for _, name := range []string{"virtlogd", "libvirtd"} {
		daemon := exec.Command(name)
		log, err := os.Create("/run/" + name + ".log")
		if err != nil {
			return 1, err
		}
		daemon.Stdout, daemon.Stderr = log, log
		if err := daemon.Start(); err != nil {
			return 1, err
		}
		defer func() { _ = daemon.Process.Kill() }()
	}
	deadline := time.Now().Add(3 * time.Minute)
	for exec.Command("virsh", "list").Run() != nil {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile("/run/libvirtd.log")
			return 1, fmt.Errorf("libvirtd does not answer\n%s", log)
		}
		time.Sleep(time.Second)
	}
	return m.Run(), nil
}
