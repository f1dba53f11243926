package supervise

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/proof"
	"vmhuge/qemu"
)

func TestExitCode(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -9 $$": 137, "kill -15 $$": 143} {
		cmd := exec.Command("sh", "-c", script)
		_ = cmd.Run()
		if got := exitCode(cmd.ProcessState); got != want {
			t.Errorf("%s: %d, not %d", script, got, want)
		}
	}
}

// shell is QEMU's stand-in: what is supervised is any process.
func shell(script string, proved func(Proof)) QEMU {
	return QEMU{Command: qemu.Command{Args: []string{"sh", "-c", script}}, Path: "/bin/sh", Host: host.Host{Root: "/"}, Proved: proved}
}

func TestRun(t *testing.T) {
	for script, want := range map[string]int{"exit 7": 7, "kill -15 $$": 143} {
		var proofs []Proof
		ended, err := Run(t.Context(), shell(script, func(p Proof) { proofs = append(proofs, p) }))
		if err != nil || ended.Code != want || len(proofs) != 1 || !proofs[0].Early || proofs[0].PID == 0 {
			t.Errorf("%s: %+v, %v, proofs %+v", script, ended, err, proofs)
		}
	}
	q := shell("", nil)
	q.Path = "/nonexistent"
	var notRun *NotRun
	if _, err := Run(t.Context(), q); !errors.As(err, &notRun) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A signal that vmhuge gets reaches QEMU.
func TestPassedOn(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	q := shell(`trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done`, func(Proof) {})
	q.Stdout = in
	go func() {
		if _, err := bufio.NewReader(out).ReadString('\n'); err == nil {
			_ = unix.Kill(os.Getpid(), unix.SIGUSR1)
		}
	}()
	if ended, err := Run(t.Context(), q); ended.Code != 9 || err != nil {
		t.Errorf("%+v, %v", ended, err)
	}
}

// QEMU is looked at until it has what it preallocates, and an error is no last
// word.
func TestFilling(t *testing.T) {
	has := func(kib int64) proof.Proof { return proof.Proof{HugetlbKiB: map[string]int64{"2048": kib}} }
	f := newFilling(4096)
	for i, row := range []struct {
		proof proof.Proof
		err   error
		over  bool
	}{{has(0), nil, false}, {has(2048), nil, false}, {proof.Proof{}, fs.ErrNotExist, false}, {has(4096), nil, true}} {
		if over := f.look(func() (proof.Proof, error) { return row.proof, row.err }); over != row.over {
			t.Errorf("look %d: %v", i, over)
		}
	}
	f = newFilling(4096)
	f.since = time.Now().Add(-Stalled)
	if !f.look(func() (proof.Proof, error) { return has(0), nil }) || f.filled() || !f.stuck() {
		t.Error("one that gets no more is waited for")
	}
	f = newFilling(0)
	f.since = time.Now().Add(-Stalled)
	if !f.look(func() (proof.Proof, error) { return has(0), nil }) || f.stuck() {
		t.Error("one that preallocates nothing lacks nothing")
	}
}
