// Package integration tests vmhuge with a real libvirtd, real QEMU and the
// kernel's real huge pages. Nothing in here is faked, and nothing stays behind.
//
// The tests see a machine of their own: private copies of the directories that
// libvirt and vmhuge write to, fresh hugetlbfs mounts, a libvirtd that no other
// libvirtd can meet. Only the page pools are shared with the machine; they are
// put back, and that is checked.
package integration

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hosttest"
)

// The test binary runs three times, one inside the other; in a micro-VM, which
// a test of the innermost one boots, the last two again.
const (
	stageVar = "VMHUGE_INTEGRATION_STAGE"
	dirVar   = "VMHUGE_INTEGRATION_DIR"
	builtVar = "VMHUGE_INTEGRATION_BUILT" // a folder with vmhuge and its hook; "": they are built

	stageOuter = ""      // on the machine: checks, builds, starts stageInit, cleans up
	stageInit  = "init"  // process 1 of a new PID and mount namespace: mounts, then reaps
	stageTests = "tests" // starts libvirtd, runs the tests

	stageMachine = "machine" // process 1 of a micro-VM: stageInit, and then turns it off
)

func TestMain(m *testing.M) {
	hosttest.HoldMap()
	var code int
	var err error
	switch stage := os.Getenv(stageVar); stage {
	case stageOuter:
		code, err = outer()
	case stageInit:
		code, err = initProcess(os.Getenv(dirVar))
	case stageTests:
		code, err = runTests(m, os.Getenv(dirVar))
	case stageMachine:
		err = machineProcess(os.Getenv(dirVar))
	default:
		err = fmt.Errorf("%s=%q: no such stage", stageVar, stage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration tests:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// outer prepares what needs the machine as it is, runs the tests in their own
// namespaces, and afterwards holds the machine to what it was before. Whatever
// happens inside, even kill -9, the kernel ends every process of the PID
// namespace with its first one, so no QEMU can outlive the tests.
func outer() (code int, err error) {
	if err := prerequisites(); err != nil {
		return 1, err
	}
	// With a strict umask, libvirtd would make directories that QEMU's user
	// cannot enter. The stages and the daemons inherit this one.
	unix.Umask(0o022)
	alone := microVMsAlone()
	if !alone {
		unlock, err := waitForTurn()
		if err != nil {
			return 1, err
		}
		defer unlock()
	}
	before, err := readPools()
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "vmhuge-integration-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := fillPrivateDirs(dir); err != nil {
		return 1, err
	}
	if err := buildVmhuge(dir); err != nil {
		return 1, err
	}
	if !microVMsLeftOut() {
		if err := buildMicroVM(""); err != nil {
			return 1, err
		}
	}
	if alone { // those on another kernel are skipped where it is not to be had
		if err := buildMicroVM(cmaKernel); err != nil {
			fmt.Fprintln(os.Stderr, "integration tests:", err)
		}
	}
	made, err := makeMountPoints()
	defer func() { err = errors.Join(err, removeDirs(made)) }()
	if err != nil {
		return 1, err
	}
	inNamespaces := func() (int, error) {
		return reexec(stageInit, dir, &syscall.SysProcAttr{
			Cloneflags:   unix.CLONE_NEWPID,
			Unshareflags: unix.CLONE_NEWNS,
			Pdeathsig:    unix.SIGKILL,
		})
	}
	if alone {
		return inNamespaces()
	}
	partitions := cgroupPartitions()
	defer removeCgroups(func(partition string) bool { return !slices.Contains(partitions, partition) })

	if err := setOvercommit(before, func(pool) int { return 0 }); err != nil {
		return 1, err
	}
	code, err = inNamespaces()
	return code, errors.Join(err, takeBackPages(dir),
		setOvercommit(before, func(p pool) int { return p.Overcommit }), poolsAsBefore(before))
}

// microVMsAlone says whether no test is asked for that changes the machine's pools.
// Such a run takes no turn, and leaves the pools to whoever has one.
func microVMsAlone() bool {
	flag.Parse()
	run := flag.Lookup("test.run").Value.String()
	return strings.HasPrefix(run, "^"+microVMPrefix) && !strings.Contains(run, "|")
}

// microVMsLeftOut says whether no test can boot one.
func microVMsLeftOut() bool { return flag.Lookup("test.skip").Value.String() == "^"+microVMPrefix }

// reexec runs this binary again as another stage and returns its exit code.
func reexec(stage, dir string, attr *syscall.SysProcAttr) (int, error) {
	// Pdeathsig is tied to the thread that forks, not to the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := command(stage, dir)
	cmd.SysProcAttr = attr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("starting the tests in their own namespaces: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals: // this stage stays, to clean up
			_ = cmd.Process.Signal(s)
		case err := <-done:
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				return max(exit.ExitCode(), 1), nil // -1: killed by a signal
			}
			return 0, err
		}
	}
}

func command(stage, dir string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), stageVar+"="+stage, dirVar+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// initProcess does the mounts and then the duty of process 1: it reaps every
// orphan. libvirt waits for a killed QEMU until it is gone, and a zombie is not.
func initProcess(dir string) (int, error) {
	if err := mountPrivate(dir); err != nil {
		return 1, err
	}
	tests := command(stageTests, dir)
	if err := tests.Start(); err != nil {
		return 1, err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 1, fmt.Errorf("waiting for the tests: %w", err)
		case pid == tests.Process.Pid && status.Signaled():
			return 1, errors.Join(fmt.Errorf("the tests were ended by %v", status.Signal()), freeClaims(dir))
		case pid == tests.Process.Pid:
			return status.ExitStatus(), freeClaims(dir)
		}
	}
}

// freeClaims frees what vmhuge has added to the machine's pools, after tests whose cleanups did not
// run: they were killed, or out of time.
func freeClaims(dir string) error {
	if claims, _ := filepath.Glob("/run/vmhuge/claims/*"); len(claims) == 0 {
		return nil
	}
	_ = unix.Kill(-1, unix.SIGKILL) // their guests, and all else in this namespace but this process
	for err := error(nil); !errors.Is(err, unix.ECHILD); {
		_, err = unix.Wait4(-1, nil, 0, nil)
	}
	for _, command := range []string{"status", "undo"} { // of guests that are gone, and what prepare has added
		if out, err := exec.Command(filepath.Join(dir, "bin", "vmhuge"), command).CombinedOutput(); err != nil {
			return fmt.Errorf("freeing what the tests have left: vmhuge %s: %w: %s", command, err, out)
		}
	}
	return nil
}

func runTests(m *testing.M, dir string) (code int, err error) {
	scratch = dir
	if pairNumber() > 0 {
		if err := listen(); err != nil {
			return 1, err
		}
	}
	daemons, err := startDaemons()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, daemons.stop()) }()
	libvirtd = daemons
	code = m.Run()
	printTable()
	if code != 0 {
		showLibvirtdLog()
	}
	return code, destroyLeftovers()
}

// prerequisites names what is missing, and the cure.
func prerequisites() error {
	if os.Geteuid() != 0 {
		return errors.New("they need root, for a libvirtd of their own and for huge pages; run: sudo ./just test")
	}
	// Where daemons live is not always in the PATH that sudo leaves.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	var missing []string
	for _, name := range []string{libvirtdName, "virtlogd", "qemu-system-x86_64"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no %s here; run: sudo apt-get install libvirt-daemon-system qemu-system-x86, then: sudo ./just test", strings.Join(missing, ", "))
	}
	return nil
}

// waitForTurn keeps a second run of these tests off the pools of the first.
func waitForTurn() (unlock func() error, err error) {
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "vmhuge-integration.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == unix.EWOULDBLOCK {
		fmt.Fprintln(os.Stderr, "integration tests: waiting for another run of them to end")
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
			return nil, err
		}
	}
	return lock.Close, nil
}

// buildVmhuge builds the real binaries, once for all tests; the hook as it is
// installed, static. Where another machine has built them, it takes those.
func buildVmhuge(dir string) error {
	if built := os.Getenv(builtVar); built != "" {
		return copyTree(built, filepath.Join(dir, "bin"))
	}
	for name, env := range map[string]string{"vmhuge": "CGO_ENABLED=1", "vmhuge-hook": "CGO_ENABLED=0"} {
		cmd := exec.Command("go", "build", "-tags", "urfave_cli_no_docs", "-ldflags=-s -w", "-buildvcs=false", "-o", filepath.Join(dir, "bin", name), "./cmd/"+name)
		cmd.Dir, cmd.Env = "..", append(os.Environ(), env)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}
