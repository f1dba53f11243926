package integration

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hosttest"
)

// machine is a micro-VM, for tests of what the machine at hand may not have:
// several NUMA nodes. It runs under TCG; each node has one CPU and so much
// memory. It sees the files that the tests see, and what it writes is lost when
// it ends.
type machine struct {
	nodes, nodeMiB int
	kernel         string        // what else its kernel is told
	limit          time.Duration // how long the test in there may take; 0: half an hour
	pair           bool          // there are two, on one network, and both run the test
	suite          string        // of Debian, that its kernel is from; "": of all micro-VMs
}

// within returns the machine for a test that may take so long.
func (m machine) within(limit time.Duration) machine {
	m.limit = limit
	return m
}

// What the kernel command line of a micro-VM hands to its process 1, besides
// the stage and the scratch directory.
const (
	machineVar = "VMHUGE_INTEGRATION_MACHINE" // the test that it is for
	packageVar = "VMHUGE_INTEGRATION_PACKAGE" // the directory in which go test runs it
	pairVar    = "pair"                       // which of two it is
)

// microVMPrefix begins the names of the tests that run in a micro-VM, so that they
// can be run beside those that need the machine's pools.
const microVMPrefix = "TestMicroVM"

// inMicroVM returns true in a micro-VM. Elsewhere it boots one, runs the same
// test in there, which decides whether this one passes, and returns false:
//
//	if !inMicroVM(t, machine{nodes: 2, nodeMiB: 1024}) {
//		return
//	}
func inMicroVM(t *testing.T, m machine) bool {
	t.Helper()
	if strings.Contains(t.Name(), "/") || !strings.HasPrefix(t.Name(), microVMPrefix) {
		t.Fatalf("only a test that is called %s… can have a micro-VM, and no subtest", microVMPrefix)
	}
	if !isMicroVM(t) {
		m.run(t)
		return false
	}
	cmdline := kernelCmdline(t)
	if nodes, _ := filepath.Glob(nodesGlob); len(nodes) != m.nodes || !strings.Contains(cmdline, " "+machineVar+"="+t.Name()+" ") {
		t.Fatalf("this is not its micro-VM: %d nodes, %s", len(nodes), cmdline)
	}
	fmt.Println(insideLine(scratch))
	return true
}

// isMicroVM says whether this is one. An environment variable could be left over in any shell;
// only a micro-VM that this file has booted has these words on its kernel command line.
func isMicroVM(t *testing.T) bool {
	t.Helper()
	return strings.Contains(kernelCmdline(t), " "+machineVar+"=")
}

func kernelCmdline(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The lines that report the inner test's result to the outer one. They contain the
// scratch directory, so that no other output is taken for them.
func insideLine(dir string) string { return dir + ": the test runs inside" }

// sent is the line with which an inner test hands a file to the outer one, and saveSent
// writes that file: what is written inside the micro-VM is lost.
func sent(name string, content []byte) string {
	return "sent: " + name + " " + base64.StdEncoding.EncodeToString(content)
}

func saveSent(line string) (saved bool, err error) {
	fields := strings.Fields(line)
	dir := os.Getenv("SAVE_SENT")
	if len(fields) != 3 || fields[0] != "sent:" || dir == "" {
		return false, nil
	}
	content, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return false, err
	}
	return true, os.WriteFile(filepath.Join(dir, filepath.Base(fields[1])), content, 0o644)
}

func exitLine(dir string, code int) string { return fmt.Sprintf("%s: exit code %d", dir, code) }

// run boots the machine for a test and waits until it has turned itself off. One
// that hangs as a whole, so that not even the test in there can run into its time
// limit, is a fault of QEMU, mostly of its emulation of SVM. It is booted once more.
func (m machine) run(t *testing.T) {
	t.Helper()
	if m.once(t) {
		return
	}
	t.Log("the micro-VM hung: once more")
	if !m.once(t) {
		t.Fatal("the micro-VM hung again")
	}
}

// once returns false if the machine had to be killed.
func (m machine) once(t *testing.T) (ended bool) {
	t.Helper()
	// libvirt asks QEMU here what it can do, and keeps that in /var/cache/libvirt, which
	// fillPrivateDirs copies: in there it would take half a minute.
	if _, err := libvirtd.conn.GetDomainCapabilities("", "", "", "qemu", 0); err != nil {
		t.Fatal(err)
	}
	boot, err := microVMDir(m.suite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(boot, "vmlinuz")); err != nil {
		hosttest.Lacks(t, fmt.Sprintf("there is no kernel of %s to be had: %s", m.suite, err)) // outer has said why
	}
	limit := m.limit
	if limit == 0 {
		limit = 30 * time.Minute
	}
	if deadline, ok := t.Deadline(); ok { // end before it, to tell what was said
		limit = min(limit, time.Until(deadline)-time.Minute)
	}
	// The test in there tells where it hangs, if its machine still can.
	ctx, cancel := context.WithTimeout(t.Context(), limit+30*time.Second)
	defer cancel()
	if !m.pair {
		ended, err := m.boot(ctx, t, 0, limit)
		if err != nil {
			t.Fatal(err)
		}
		return ended
	}
	var all sync.WaitGroup
	ends, errs := [2]bool{}, [2]error{}
	for i := range errs {
		all.Go(func() {
			if ends[i], errs[i] = m.boot(ctx, t, i+1, limit); errs[i] != nil {
				cancel() // the other one waits for it in vain
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return ends[0] && ends[1]
}

// boot runs the machine, or that number of a pair, to its end; false: it had to be killed.
func (m machine) boot(ctx context.Context, t *testing.T, number int, limit time.Duration) (ended bool, err error) {
	// Not this scratch directory: bind mounts show its parts a second time, and
	// 9p wants every directory to have one path.
	dir, err := os.MkdirTemp(scratch, "machine-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(fillPrivateDirs(dir), pack(dir), copyTree(filepath.Join(scratch, "bin"), filepath.Join(dir, "bin"))); err != nil {
		return false, err
	}
	console := filepath.Join(dir, "console")
	args, err := m.args(t.Name(), dir, console, number, limit)
	if err != nil {
		return false, err
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return false, err
	}
	inside, passed := false, false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if saved, err := saveSent(line); saved || err != nil {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if number == 2 {
			t.Log("machine 2: " + line)
		} else {
			t.Log(line)
		}
		inside = inside || line == insideLine(dir)
		passed = passed || strings.HasPrefix(line, "--- PASS: "+t.Name()+" (")
		ended = ended || line == exitLine(dir, 0)
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	kernel, _ := os.ReadFile(console)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Logf("it does not answer; its kernel said:\n%s", kernel)
		return false, nil
	}
	if err != nil || !inside || !passed || !ended {
		return false, fmt.Errorf("in the micro-VM: the test ran %v, passed %v, exit code 0 %v; QEMU: %w\nits kernel said:\n%s", inside, passed, ended, err, kernel)
	}
	return true, nil
}

// packed is the archive in which the micro-VM finds its private directories. As more
// than a thousand files each would take several round trips over 9p.
const packed = "private.tar"

func pack(dir string) error {
	entries, err := os.ReadDir(dir)
	args := []string{"--create", "--remove-files", "--file", packed}
	for _, e := range entries {
		args = append(args, e.Name())
	}
	return errors.Join(err, tar(dir, args...))
}

func tar(dir string, args ...string) error {
	cmd := exec.Command("tar", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w\n%s", err, out)
	}
	return nil
}

func (m machine) args(test, dir, console string, number int, limit time.Duration) ([]string, error) {
	boot, err := microVMDir(m.suite)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	pkg, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	// nokaslr: a kernel at a random address may break up the only free GiB of a node.
	// no_timer_check: on a busy host an emulated timer may be late, and the kernel panics.
	// rep_good: without it, the kernel clears pages by plain stores, which emulation does faster.
	cmdline := []string{"console=ttyS0 quiet panic=-1 no_timer_check mitigations=off nokaslr tsc=reliable clearcpuid=rep_good", m.kernel,
		"program=" + program,
		stageVar + "=" + stageMachine, dirVar + "=" + dir, packageVar + "=" + pkg, machineVar + "=" + test}
	for _, name := range []string{"CI", "PLAN_SETS", "PLAN_SEED", "FUZZ_COUNT", "FUZZ_SEED", "SAMPLE", "CHAOS_ROUNDS", "CHAOS_SEED", "ON_DEMAND_ROUNDS", "VIRTQEMUD", "VMHUGE_INTEGRATION_LIBVIRTD", "ROWS"} {
		cmdline = append(cmdline, name+"="+os.Getenv(name))
	}
	if number > 0 {
		cmdline = append(cmdline, fmt.Sprintf("%s=%d", pairVar, number))
	}
	pattern := "^" + test + "$"
	for alternative := range strings.SplitSeq(flag.Lookup("test.run").Value.String(), "|") {
		outer, sub, _ := strings.Cut(alternative, "/")
		if ok, err := regexp.MatchString(outer, test); err == nil && ok && sub != "" {
			pattern += "/" + sub
		}
	}
	cmdline = append(cmdline, "-- -test.v -test.run="+pattern+" -test.timeout="+limit.String())
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		// With QEMU's own tb-size it slows down as it runs. With a thread for each processor, they
		// spin for each other where this machine is busy.
		"-accel", "tcg,thread=single,tb-size=256",
		// What is off costs emulation much: erms has the kernel and libc copy byte by byte, and
		// smap ends the translated code at each copy from user memory. cx16: see the lab's.
		"-cpu", "max,erms=off,smap=off,smep=off,pku=off,cx16=off",
		"-smp", fmt.Sprint(m.nodes), "-m", fmt.Sprintf("%dM", m.nodes*m.nodeMiB),
		"-kernel", filepath.Join(boot, "vmlinuz"), "-initrd", filepath.Join(boot, "initrd.gz"), "-append", strings.Join(cmdline, " "),
		"-serial", "file:" + console, "-serial", "stdio",
		"-virtfs", "local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap",
	}
	if number > 0 {
		socket := func(number int) string { return filepath.Join(scratch, fmt.Sprintf("machine%d.net", number)) }
		args = append(args, "-netdev", fmt.Sprintf("dgram,id=net,local.type=unix,local.path=%s,remote.type=unix,remote.path=%s", socket(number), socket(3-number)),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=net,romfile=,mac=52:54:00:00:00:0%d", number))
	}
	for n := range m.nodes {
		args = append(args, "-object", fmt.Sprintf("memory-backend-ram,id=node%d,size=%dM", n, m.nodeMiB),
			"-numa", fmt.Sprintf("node,nodeid=%d,cpus=%d,memdev=node%d", n, n, n))
	}
	return args, nil
}

// machineProcess is process 1 of a micro-VM. It turns the machine off at the
// end; should it fail to, the kernel panics, and QEMU ends without its last line.
func machineProcess(dir string) error {
	unix.Umask(0o022)
	code, err := 1, errors.Join(os.Chdir(os.Getenv(packageVar)), tar(dir, "--extract", "--file", packed))
	if err == nil {
		code, err = initProcess(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration tests:", err)
		code = max(code, 1)
	}
	fmt.Printf("\n%s\n", exitLine(dir, code))
	return errors.Join(
		unix.IoctlSetInt(unix.Stdout, unix.TCSBRK, 1), // tcdrain: all of it is out
		unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
}

// microVMKernel is the suite of Debian from which a micro-VM's kernel is, such as
// trixie-backports; empty: this machine's. suite is what the test asks for.
func microVMKernel(suite string) string { return cmp.Or(os.Getenv("MICROVM_KERNEL"), suite) }

func microVMDir(suite string) (string, error) {
	cache, err := os.UserCacheDir()
	name := "microvm"
	if suite := microVMKernel(suite); suite != "" {
		name += "-" + filepath.Base(suite)
	}
	return filepath.Join(cache, "vmhuge", name), err
}

// buildMicroVM gets the kernel and the initramfs, kept in the user's cache.
func buildMicroVM(suite string) error {
	dir, err := microVMDir(suite)
	if err != nil {
		return err
	}
	if out, err := exec.Command("lab/microvm", dir, microVMKernel(suite)).CombinedOutput(); err != nil {
		return fmt.Errorf("building the micro-VM: %w\n%s", err, out)
	}
	return nil
}
