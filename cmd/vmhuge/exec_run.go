package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// passedOn are the signals that QEMU gets when vmhuge gets them. Those of a
// terminal reach both by themselves, and QEMU does not mind one that comes
// twice; those that stop a process stop both, since they are of one group.
var passedOn = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH}

// execute runs QEMU, and exits as it did.
func (p *program) execute(ctx context.Context, e *execution) error {
	// One that is ignored, by nohup, stays so.
	caught := slices.DeleteFunc(slices.Clone(passedOn), signal.Ignored)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, caught...)
	defer signal.Stop(signals)
	if err := p.getPages(ctx, e, signals); err != nil {
		return err
	}
	qemu := &exec.Cmd{Path: e.path, Args: e.Args, Stdin: p.stdin, Stdout: p.stdout, Stderr: p.stderr}
	// If vmhuge is killed QEMU goes on: its guest is worth more. The claim has
	// its UUID.
	if err := qemu.Start(); err != nil {
		return errors.Join(p.cannotRun(e.Args[0], err), p.givePagesBack(e))
	}
	ended := make(chan struct{})
	defer close(ended)
	go passOn(signals, qemu.Process, ended)
	done := make(chan error, 1)
	go func() { done <- qemu.Wait() }()
	proving := newProving(e)
	for {
		select {
		case <-proving.timer.C:
			if proving.look(p.host(), qemu.Process.Pid) {
				p.showProof(e, qemu.Process.Pid, proving)
			}
		case err := <-done:
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				return errors.Join(err, p.givePagesBack(e))
			}
			if !proving.over && p.json {
				p.showProof(e, qemu.Process.Pid, proving)
			}
			if err := p.givePagesBack(e); err != nil {
				p.complain(err)
			}
			return answered(exitCode(qemu.ProcessState))
		}
	}
}

// passOn gives QEMU the signals that vmhuge gets, until the end.
func passOn(signals <-chan os.Signal, qemu *os.Process, ended <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			_ = qemu.Signal(s) // it may have ended
		case <-ended:
			return
		}
	}
}

// exitCode is a process's exit code as shells have it.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// getPages sees to it that the pools have what QEMU will take. A signal on the
// way undoes it.
func (p *program) getPages(ctx context.Context, e *execution, signals <-chan os.Signal) error {
	if os.Geteuid() != 0 {
		if short := p.host().Lacking(e.guest); short != nil {
			return p.rootMust(e, short)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case s := <-signals:
				if s != unix.SIGWINCH {
					cancel()
				}
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-watched }()
	ledger, err := p.openLedger(ctx, e.UUID)
	if err != nil {
		return err
	}
	defer ledger.Close()
	claims, err := pool.ReadClaims(p.host().Root)
	if err != nil {
		return err
	}
	running, err := pool.FindGuests(p.host().Root)
	if err != nil {
		return err
	}
	_, taken := running[e.UUID]
	if taken || slices.ContainsFunc(claims, func(c pool.Claim) bool { return c.UUID == e.UUID && c.Phase != pool.Owed }) {
		return advice.New("starting "+oneLine(e.Name), "a guest with the UUID "+e.UUID+" is running", "give it another -uuid, or none")
	}
	e.changed, err = p.hold(ctx, ledger, hostprep.NewClaim(e.Demand, e.UUID, e.Name), e.guest)
	if err == nil && ctx.Err() != nil {
		_, _, err = ledger.Release(e.UUID)
		err = errors.Join(advice.New("starting "+oneLine(e.Name), "interrupted", "its pages were freed"), err)
	}
	return err
}

// rootMust says what root must do for a user who lacks pages.
func (p *program) rootMust(e *execution, short *hostprep.Finding) error {
	do := short.Do
	if short.Fixable {
		do = "run vmhuge as root"
		for _, change := range short.Changes {
			do += ", or let root run: " + change.String()
		}
	}
	return &advice.Error{What: "starting " + oneLine(e.Name), Why: short.Have + ", and it takes " + short.Need, Do: do, Kind: advice.NoMemory}
}

// givePagesBack returns what was added to the pools for QEMU, which has ended.
func (p *program) givePagesBack(e *execution) error {
	if os.Geteuid() != 0 {
		return nil
	}
	// The kernel may need a moment more to take the pages out of a process
	// that is gone. What is owed after that, the next run gives back.
	var given, owed int64
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ledger, err := p.openLedger(context.Background(), e.UUID)
		if err != nil {
			return err
		}
		var g int64
		g, owed, err = p.release(ledger, e.UUID, e.Name)
		given += g
		for _, s := range ledger.Settled {
			if s.UUID == e.UUID {
				given += s.Given
			}
		}
		ledger.Close()
		if err != nil {
			return err
		}
		if owed == 0 || time.Now().After(deadline) {
			break
		}
	}
	if p.quiet {
		return nil
	}
	if given > 0 {
		p.warn("%s: gave back its %s of huge pages", oneLine(e.Name), pages.FormatBytes(given))
	}
	if owed > 0 {
		p.warn("%s: %s of huge pages are still in use by other processes; the next vmhuge command frees them", oneLine(e.Name), pages.FormatBytes(owed))
	}
	return nil
}

// proving waits until QEMU has its pages. How long it takes to fill them
// depends on how many there are; one that no longer gets on has what it gets.
type proving struct {
	timer    *time.Timer
	wantKiB  int64
	ramKiB   int64
	interval time.Duration
	since    time.Time // when it last got on
	proof    hostprep.Proof
	err      error
	over     bool
}

// stalled is how long QEMU may take to get on.
const stalled = 10 * time.Second

func newProving(e *execution) *proving {
	const first = 20 * time.Millisecond
	return &proving{timer: time.NewTimer(first), wantKiB: e.FilledKiB, ramKiB: e.RAMKiB, interval: first, since: time.Now()}
}

// look reads what QEMU has, and says whether that is the last word.
func (v *proving) look(host hostprep.Host, pid int) (over bool) {
	had := v.proof.Hugetlb()
	// An error is no last word: while pages come, two files tell two numbers.
	proof, err := host.Prove(pid, v.ramKiB)
	if v.err = err; err == nil {
		v.proof = proof
	}
	if v.proof.Hugetlb() > had {
		v.since = time.Now()
	}
	if v.over = err == nil && v.proof.Hugetlb() >= v.wantKiB && v.wantKiB > 0 || time.Since(v.since) > stalled; v.over {
		return true
	}
	v.interval = min(v.interval*3/2, time.Second)
	v.timer.Reset(v.interval)
	return false
}

// showProof tells how QEMU's memory lies, and writes down that it has its pages.
func (p *program) showProof(e *execution, pid int, v *proving) {
	if v.over && v.err == nil && v.proof.Hugetlb() >= v.wantKiB && os.Geteuid() == 0 {
		if err := p.started(e.UUID); err != nil {
			p.complain(err)
		}
	}
	if p.json {
		fields := map[string]any{"name": e.Name, "uuid": e.UUID, "pid": pid, "command": e.Args,
			"totals": e.Demand.Totals(), "changed": e.changed}
		if v.proof.Verdict != "" { // else QEMU ended before
			fields["proof"] = v.proof
		}
		p.writeJSON(p.stderr, fields)
		return
	}
	if v.err != nil {
		p.complain(v.err)
		return
	}
	if p.quiet && v.proof.Verdict == hostprep.AllHuge {
		return
	}
	for _, change := range e.changed {
		p.warn("done: %s", change)
	}
	p.warn("%s: %s (process %d, UUID %s)", oneLine(e.Name), proofWords(v.proof), pid, e.UUID)
	for _, note := range e.Notes {
		p.warn("%s: %s", oneLine(e.Name), oneLine(note))
	}
}

func (p *program) started(uuid string) error {
	ledger, err := p.openLedger(context.Background(), uuid)
	if err != nil {
		return err
	}
	defer ledger.Close()
	return ledger.Started(uuid)
}
