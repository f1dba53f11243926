// Package lab tests vmhuge on a host of its own: a whole Debian with systemd,
// udev, AppArmor, GRUB and libvirt, in a QEMU that needs no KVM. What happens
// there, even a reboot, leaves the machine alone.
//
// The first test makes the disk, boots it, and keeps in the user's cache how it
// is when all has started. From there every lab goes on, in seconds.
package lab

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// machine is what a lab looks like. It has two CPUs, one on each of the first
// two nodes.
type machine struct {
	nodes     int // NUMA nodes; 1 if 0
	memoryMiB int // of each node; 2048 if 0
}

// lab is a running machine.
type lab struct {
	t       *testing.T
	img     image
	dir     string // for what lives as long as it does
	qemu    *exec.Cmd
	stderr  bytes.Buffer
	ended   chan struct{} // closed when QEMU has ended
	monitor *monitor
	port    string // of its sshd, on this machine's 127.0.0.1
}

// boot gives the test a lab, which ends with the test.
func boot(t *testing.T, m machine) *lab {
	t.Helper()
	img, err := findImage()
	if err != nil {
		t.Fatal(err)
	}
	m = machine{cmp.Or(m.nodes, 1), cmp.Or(m.memoryMiB, 2048)}
	l := run(t, img, m.ready(t, img), m.arguments("snapshot=on", "-incoming", "exec:cat state"))
	t.Cleanup(l.document)
	l.settle("")
	return l
}

// arguments are QEMU's, which runs in a directory of the image's. They hold no
// path, so that they tell what a machine is, wherever the cache.
func (m machine) arguments(disk string, more ...string) []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35,usb=off,vmport=off",
		// What is off costs emulation much: erms has the kernel and libc copy byte by byte, and
		// smap ends the translated code at each copy from user memory. cx16: after cmpxchg16b QEMU
		// 7.2 leaves random flags to an interrupt, and the kernel, which allocates with it, panics.
		"-cpu", "max,la57=off,erms=off,smap=off,smep=off,pku=off,cx16=off",
		// With the default cache for translated code, reboots take up to four times as long. With a
		// thread for each processor, they spin for each other where this machine is busy.
		"-accel", "tcg,thread=single,tb-size=256",
		"-smp", "2,sockets=2", "-m", fmt.Sprintf("%dM", m.nodes*m.memoryMiB),
		"-kernel", "../grub",
		"-drive", "if=none,id=disk,file=disk.qcow2,format=qcow2,cache=unsafe,discard=unmap," + disk,
		"-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci",
		// No way out, and one in: for port 0 the kernel finds a free one.
		"-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22", "-device", "virtio-net-pci,netdev=net,romfile=",
		"-qmp", "stdio",
	}
	for node := range m.nodes {
		numa := fmt.Sprintf("node,nodeid=%d,memdev=memory%d", node, node)
		for cpu := range 2 {
			if node == min(cpu, m.nodes-1) {
				numa += fmt.Sprintf(",cpus=%d", cpu)
			}
		}
		args = append(args,
			"-object", fmt.Sprintf("memory-backend-ram,id=memory%d,size=%dM", node, m.memoryMiB),
			"-numa", numa)
	}
	return append(args, more...)
}

// preparation is what a machine does once for all that go on from its saved state:
// libvirt asks QEMU what it can do, and AppArmor is told to compile a guest's profile,
// which it does three times at each start, into a larger table in less time.
const preparation = `
virsh version
echo Optimize=no-expr-simplify >>/etc/apparmor/parser.conf
sync; echo 3 >/proc/sys/vm/drop_caches
`

// ready returns the directory with a machine that has booted, and makes it if
// need be: disk.qcow2, on top of the image, and state.
func (m machine) ready(t *testing.T, img image) string {
	t.Helper()
	args := m.arguments("snapshot=off")
	version, err := exec.Command("qemu-system-x86_64", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	kind := fmt.Sprintf("ready-%dx%d-", m.nodes, m.memoryMiB)
	dir := filepath.Join(img.dir, fmt.Sprintf("%s%.6x", kind, sha256.Sum256([]byte(strings.Join(args, " ")+string(version)+preparation))))
	err = img.make(dir, func(dir string, _ *os.File) error {
		old, _ := filepath.Glob(filepath.Join(img.dir, kind+"*")) // another QEMU's
		for _, dir := range old {
			_ = os.RemoveAll(dir)
		}
		overlay := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", "../root.ext4", "-F", "raw", "disk.qcow2")
		overlay.Dir = dir
		if out, err := overlay.CombinedOutput(); err != nil {
			return fmt.Errorf("qemu-img: %w\n%s", err, out)
		}
		l := run(t, img, dir, args)
		l.settle("")
		l.Must("set -e" + preparation)
		l.hangUp()
		if err := l.monitor.save("state"); err != nil {
			return err
		}
		<-l.ended
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run starts QEMU in dir, and sees to it that it ends with the test.
func run(t *testing.T, img image, dir string, args []string) *lab {
	t.Helper()
	own, err := os.MkdirTemp("", "vmhuge-lab-") // not t.TempDir: the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(own) })
	l := &lab{t: t, img: img, dir: own, ended: make(chan struct{})}
	l.qemu = exec.Command("qemu-system-x86_64", append(args, "-serial", "file:"+l.console())...)
	l.qemu.Dir, l.qemu.Stderr = dir, &l.stderr
	// The kernel ends it with the thread that started it. Go keeps its threads.
	l.qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	in, inErr := l.qemu.StdinPipe()
	out, outErr := l.qemu.StdoutPipe()
	if err := errors.Join(inErr, outErr, l.qemu.Start()); err != nil {
		t.Fatalf("starting QEMU: %v", err)
	}
	go func() {
		_ = l.qemu.Wait()
		close(l.ended)
	}()
	t.Cleanup(l.end)
	if l.monitor, err = newMonitor(in, out); err == nil {
		err = l.monitor.running()
	}
	if err == nil {
		l.port, err = l.monitor.port()
	}
	if err != nil {
		t.Fatalf("starting QEMU: %v", err) // l.end shows what it said
	}
	return l
}

func (l *lab) end() {
	l.hangUp()
	_ = l.qemu.Process.Kill()
	<-l.ended
	if l.t.Failed() {
		l.t.Logf("QEMU said: %s\nthe lab's console:\n%s", &l.stderr, l.Console())
	}
}

func (l *lab) console() string { return filepath.Join(l.dir, "console") }

// Console returns what came out of the serial console: the kernel's messages.
func (l *lab) Console() string {
	text, err := os.ReadFile(l.console())
	if err != nil {
		l.t.Error(err)
	}
	return string(text)
}
