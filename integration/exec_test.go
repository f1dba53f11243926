package integration

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vmhuge/docs/schema"
	"vmhuge/hostprep/process"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/hostfs"
)

// execUUID is the UUID of every guest that vmhuge exec runs here.
const execUUID = "5e1f7a52-0c0e-4b53-9d1c-6f1f5a0b9e77"

// waitingQEMU is a QEMU that has its memory and waits for good.
var waitingQEMU = []string{"qemu-system-x86_64", "-nodefaults", "-display", "none", "-S", "-uuid", execUUID}

// execRun is a vmhuge exec that runs.
type execRun struct {
	*exec.Cmd
	proof chan execProof // closed when there will be none
	lines chan []string  // of standard error, once it has ended
}

// execProof is what vmhuge exec --json says.
type execProof struct {
	PID   int         `json:"pid"`
	Proof proof.Proof `json:"proof"`
}

// startExec runs vmhuge exec until the end of the test.
func startExec(t *testing.T, user *syscall.Credential, command ...string) *execRun {
	t.Helper()
	r := &execRun{exec.Command(filepath.Join(scratch, "bin", "vmhuge"), append([]string{"exec", "--json", "--"}, command...)...),
		make(chan execProof, 1), make(chan []string, 1)}
	r.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	stderr, err := r.StderrPipe()
	if err == nil {
		err = r.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go r.read(t, stderr)
	t.Cleanup(func() {
		if qemu := execQEMU(t); qemu != 0 {
			_ = unix.Kill(qemu, unix.SIGKILL)
			t.Error("QEMU was still running")
		}
		_ = r.Process.Kill()
		_ = r.Wait()
	})
	return r
}

func (r *execRun) read(t *testing.T, stderr io.Reader) {
	var lines []string
	told := false
	for scan := bufio.NewScanner(stderr); scan.Scan(); {
		var p execProof
		if err := json.Unmarshal(scan.Bytes(), &p); err == nil && !told {
			if err := schema.Check("exec", 0, scan.Bytes()); err != nil {
				t.Error(err)
			}
			r.proof <- p
			told = true
		}
		lines = append(lines, scan.Text())
	}
	close(r.proof)
	r.lines <- lines
}

// code waits for the end and returns the exit code.
func (r *execRun) code(t *testing.T) int {
	t.Helper()
	<-r.lines
	if err := r.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Error(err)
	}
	return r.ProcessState.ExitCode()
}

// listens waits until QEMU has its handlers of signals, which it sets after it
// has its memory.
func (r *execRun) listens(t *testing.T, qemu int) {
	t.Helper()
	waitUntil(t, "QEMU handles SIGTERM", func() bool {
		status, _ := hostfs.Root("/").Read("proc", strconv.Itoa(qemu), "status")
		_, rest, _ := strings.Cut(status, "SigCgt:")
		mask, _ := strconv.ParseUint(strings.Fields(rest + " 0")[0], 16, 64)
		return mask&(1<<(unix.SIGTERM-1)) != 0
	})
}

// execQEMU returns the QEMU that vmhuge exec started, 0 for none.
func execQEMU(t *testing.T) int {
	t.Helper()
	guests, err := process.FindGuests(hostfs.Root("/"))
	if err != nil {
		t.Fatal(err)
	}
	return guests[execUUID].PID
}

func TestExec(t *testing.T) {
	for name, row := range map[string]struct {
		command []string
		want    pageCount
		kib     int64
	}{
		"plain": {[]string{"-m", "64"}, pageCount{size2M: 32}, 65536},
		"file": {[]string{"-m", "64M", "-object", "memory-backend-file,id=ram0,size=64M,mem-path=" + mount2M + ",share=on", "-machine", "q35,memory-backend=ram0"},
			pageCount{size2M: 32}, 65536},
		"two-nodes": {[]string{"-m", "96M", "-smp", "2",
			"-object", "memory-backend-ram,id=ram0,size=32M,host-nodes=0,policy=bind", "-numa", "node,nodeid=0,cpus=0,memdev=ram0",
			"-object", `{"qom-type":"memory-backend-memfd","id":"ram1","size":67108864,"share":true}`, "-numa", "node,nodeid=1,cpus=1,memdev=ram1"},
			pageCount{size2M: 48}, 98304},
		"mem-path": {[]string{"-m", "64", "-mem-path", mount2M}, pageCount{size2M: 32}, 65536},
	} {
		t.Run(name, func(t *testing.T) {
			hostAsBefore(t)
			setPages(t, 0, size2M, 0)
			var r *execRun
			var told execProof
			taken := takenPages(t, func() {
				r = startExec(t, nil, append(waitingQEMU, row.command...)...)
				told = <-r.proof
			})
			if diff := cmp.Diff(row.want, taken); diff != "" {
				t.Errorf("pages gone from the pools (-want +got):\n%s", diff)
			}
			if told.Proof.Verdict != proof.AllHuge || told.Proof.RAMKiB != row.kib || told.Proof.Hugetlb() != row.kib {
				t.Errorf("the proof: %+v", told)
			}
			if told.PID > 0 {
				if diff := cmp.Diff(row.want, pagesOf(t, told.PID)); diff != "" {
					t.Errorf("pages in QEMU's page tables (-want +got):\n%s", diff)
				}
			}
			r.listens(t, told.PID)
			_ = r.Process.Signal(unix.SIGTERM)
			if code := r.code(t); code != 0 {
				t.Errorf("QEMU ended by SIGTERM exits with %d", code)
			}
		})
	}
}

// Streams, signals and the exit code are passed on between the caller and QEMU.
func TestExecPassesThrough(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	for name, row := range map[string]struct {
		signal unix.Signal
		toQEMU bool
		want   int
	}{
		"SIGINT": {unix.SIGINT, false, 0}, "SIGHUP": {unix.SIGHUP, false, 0},
		"SIGQUIT": {unix.SIGQUIT, false, 128 + 3}, "SIGKILL": {unix.SIGKILL, true, 128 + 9},
	} {
		r := startExec(t, nil, append(waitingQEMU, "-m", "64")...)
		pid := r.Process.Pid
		told := <-r.proof
		if row.toQEMU {
			pid = told.PID
		}
		r.listens(t, told.PID)
		if err := unix.Kill(pid, row.signal); err != nil {
			t.Fatal(err)
		}
		if code := r.code(t); code != row.want {
			t.Errorf("%s: it exits with %d, not %d", name, code, row.want)
		}
	}

	cmd := exec.Command(filepath.Join(scratch, "bin", "vmhuge"), append([]string{"exec", "-q", "--"}, append(waitingQEMU, "-m", "64", "-monitor", "stdio")...)...)
	cmd.Stdin = strings.NewReader("info uuid\nquit\n")
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), execUUID) {
		t.Errorf("the monitor on the standard streams: %v\n%s", err, out)
	}
	if r := vmhuge(t, append([]string{"exec", "--"}, append(waitingQEMU, "-m", "64", "-device", "nonsense")...)...); r.Code != 1 || r.Stdout != "" ||
		!strings.Contains(r.Stderr, "'nonsense' is not a valid device model name") || !strings.Contains(r.Stderr, "freed its 64 MiB") {
		t.Errorf("an option that QEMU refuses: %+v", r)
	}
	if r := vmhuge(t, "exec", "--", "qemu-system-x86_64", "-m", "1T"); r.Code != 4 || !strings.Contains(r.Stderr, " are missing, as the host can") {
		t.Errorf("more than the host has: %+v", r)
	}
}

// Killed at any moment, vmhuge leaves either no QEMU, or one that runs with its
// pages; and when that has ended, too, the next run gives all back.
func TestExecKilled(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	before := readTestPools(t)
	survived := 0
	for i := range 14 {
		r := startExec(t, nil, append(waitingQEMU, "-m", "64")...)
		who, pid := "vmhuge", r.Process.Pid
		switch {
		case i < 12:
			time.Sleep(time.Duration(i*i*3) * time.Millisecond)
			if qemu := execQEMU(t); i%3 == 2 && qemu != 0 {
				who, pid = "QEMU", qemu
			}
		case i == 12:
			<-r.proof
		case i == 13:
			who, pid = "QEMU", (<-r.proof).PID
		}
		at := fmt.Sprintf("%s killed at moment %d", who, i)
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if who == "vmhuge" {
			_, _ = r.Process.Wait()
		} else if code := r.code(t); code != 137 {
			t.Errorf("%s: it exits with %d", at, code)
		}
		// Its child, which is to become QEMU, may outlive it.
		waitUntil(t, at+": QEMU runs, or the pages are free", func() bool {
			if execQEMU(t) != 0 {
				return true
			}
			done(t, "status")
			return cmp.Equal(before, readTestPools(t))
		})
		if qemu := execQEMU(t); qemu != 0 {
			survived++
			waitUntil(t, "QEMU has all of its pages", func() bool { return pagesOf(t, qemu)[size2M] == 32 })
			done(t, "status")
			if got := pagesOf(t, qemu); got[size2M] != 32 {
				t.Errorf("%s: QEMU was left with %v", at, got)
			}
			if err := unix.Kill(qemu, unix.SIGKILL); err != nil {
				t.Error(err)
			}
			waitUntil(t, "QEMU is gone", func() bool { return execQEMU(t) == 0 })
		}
		done(t, "status")
		if diff := cmp.Diff(before, readTestPools(t)); diff != "" {
			t.Fatalf("%s: the pools (-before +after):\n%s", at, diff)
		}
	}
	if survived == 0 {
		t.Error("no QEMU outlived vmhuge: the moments are badly chosen")
	}
}

// Two guests of one UUID would be one in the ledger.
func TestExecSameUUID(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	r := startExec(t, nil, append(waitingQEMU, "-m", "64")...)
	<-r.proof
	if second := vmhuge(t, append([]string{"exec", "--"}, append(waitingQEMU, "-m", "64")...)...); second.Code != 1 ||
		!strings.Contains(second.Stderr, "a guest with the UUID "+execUUID+" is running; give it another -uuid, or none") {
		t.Errorf("a second one: %+v", second)
	}
	_ = r.Process.Signal(unix.SIGTERM)
	r.code(t)
}

// An ordinary user uses free pages, or is told what root must do.
func TestExecAsUser(t *testing.T) {
	hostAsBefore(t)
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	setPages(t, 0, size2M, 0)
	r := startExec(t, nobody, append(waitingQEMU, "-m", "64")...)
	<-r.proof
	if code := r.code(t); code != 4 {
		t.Errorf("without pages it exits with %d", code)
	}
	setPages(t, 0, size2M, 32)
	r = startExec(t, nobody, append(waitingQEMU, "-m", "64")...)
	told := <-r.proof
	if told.Proof.Verdict != proof.AllHuge {
		t.Errorf("the proof: %+v", told)
	}
	if told.PID > 0 { // root does not take another user's process for a guest
		t.Cleanup(func() { _ = unix.Kill(told.PID, unix.SIGKILL) })
	}
	r.listens(t, told.PID)
	_ = r.Process.Signal(unix.SIGTERM)
	if code := r.code(t); code != 0 {
		t.Errorf("it exits with %d", code)
	}
}

func TestBench(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	var got struct {
		Results []struct {
			Pages   string
			Size    int     `json:"page_size_kib"`
			NS      float64 `json:"ns_per_access"`
			OnPages float64 `json:"on_pages_percent"`
			Reason  string
		}
	}
	r := done(t, "bench", "--json", "--memory", "64M", "--seconds", "0.2")
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
		t.Fatal(err)
	}
	for _, r := range got.Results {
		switch {
		case r.Size == size1G && r.Reason != "a page is larger than the buffer of 64 MiB":
			t.Errorf("%+v", r)
		case r.Pages == "small" || r.Size == size2M && r.Pages == "hugetlb":
			if r.NS <= 0 || r.OnPages != 100 || r.Reason != "" {
				t.Errorf("%+v", r)
			}
		}
	}

	// What it holds when it is killed, the next run gives back.
	before := readTestPools(t)
	cmd := exec.Command(filepath.Join(scratch, "bin", "vmhuge"), "bench", "--size", "2M", "--memory", "64M", "--seconds", "6")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "its pages are there", func() bool { return readTestPools(t)[size2M].Nodes[0].Total >= before[size2M].Nodes[0].Total+32 })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	done(t, "status")
	if diff := cmp.Diff(before, readTestPools(t)); diff != "" {
		t.Errorf("the pools (-before +after):\n%s", diff)
	}
}
