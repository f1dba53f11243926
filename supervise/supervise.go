// Package supervise runs QEMU as a child: it gets the pages that QEMU will take,
// passes signals on, watches how QEMU's memory fills, and gives the pages back
// when QEMU has ended.
package supervise

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/advice"
	"vmhuge/lease"
	"vmhuge/qemu"
)

// QEMU is what is run.
type QEMU struct {
	qemu.Command
	Path           string // of the program
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Host           host.Host
	Guest          hostprep.Guest // what it lacks is counted as for a guest of libvirt
	Lease          *lease.Lease   // nil where the user may not change the pools
	// Proved hears once of QEMU's memory: when it has its pages or gets no more
	// of them, or else when it has ended.
	Proved func(Proof)
}

// Proof is where QEMU's memory is.
type Proof struct {
	PID     int
	Changed []change.Change // of the pools
	Memory  proof.Proof     // its Verdict is empty where QEMU ended before it could be read
	Err     error           // why Memory could not be read the last time
	Early   bool            // QEMU ended before it had its pages
	Stalled bool            // it has had no more of them for as long as Stalled, and may get them yet
	// Unrecorded is why the ledger does not say that QEMU has its pages.
	Unrecorded error
}

// Ended is what became of QEMU and its pages.
type Ended struct {
	Code        int   // QEMU's exit code, as shells have it
	Given, Owed int64 // bytes of huge pages given back, and still in use by somebody else
	GiveBackErr error
}

// NotRun is the error of a program that the kernel does not run.
type NotRun struct{ Err error }

func (e *NotRun) Error() string { return e.Err.Error() }

// Unwrap returns the kernel's error.
func (e *NotRun) Unwrap() error { return e.Err }

// passedOn are the signals that QEMU gets when vmhuge gets them. Those of a
// terminal reach both by themselves, and QEMU does not mind one that comes
// twice; those that stop a process stop both, since they are of one group.
var passedOn = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH}

// Run runs QEMU until it ends. An error says why it did not run, or why its end
// is not known; Ended is then what became of the pages.
func Run(ctx context.Context, q QEMU) (Ended, error) {
	// One that is ignored, by nohup, stays so.
	caught := slices.DeleteFunc(slices.Clone(passedOn), signal.Ignored)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, caught...)
	defer signal.Stop(signals)
	var changed []change.Change
	if q.Lease != nil {
		var err error
		changed, err = q.hold(ctx, signals)
		if err != nil {
			return Ended{}, err
		}
	}
	child := &exec.Cmd{Path: q.Path, Args: q.Args, Stdin: q.Stdin, Stdout: q.Stdout, Stderr: q.Stderr}
	// If vmhuge is killed QEMU goes on: its guest is worth more. The claim has
	// its UUID.
	if err := child.Start(); err != nil {
		return q.giveBack(), &NotRun{err}
	}
	over := make(chan struct{})
	var waitErr error
	go func() {
		waitErr = child.Wait()
		close(over)
	}()
	go passOn(signals, child.Process, over)
	q.watch(child.Process.Pid, changed, over)
	<-over
	ended := q.giveBack()
	if exit := (*exec.ExitError)(nil); waitErr != nil && !errors.As(waitErr, &exit) {
		return ended, waitErr
	}
	ended.Code = exitCode(child.ProcessState)
	return ended, nil
}

// watch looks at QEMU's memory until it has its pages or has ended, and reports
// that once.
func (q QEMU) watch(pid int, changed []change.Change, over <-chan struct{}) {
	f := newFilling(q.FilledKiB)
	defer f.timer.Stop()
	p := Proof{PID: pid, Changed: changed}
	for {
		select {
		case <-over:
			p.Memory, p.Err, p.Early = f.proof, f.err, true
		case <-f.timer.C:
			if !f.look(func() (proof.Proof, error) { return proof.Read(q.Host, pid, q.RAMKiB) }) {
				continue
			}
			p.Memory, p.Err, p.Stalled = f.proof, f.err, f.stuck()
			if f.filled() && q.Lease != nil {
				p.Unrecorded = q.record(over)
			}
		}
		q.Proved(p)
		return
	}
}

// record writes down that QEMU has its pages. What keeps it from that where QEMU
// has ended is no error: giving back is what counts then, and comes next.
func (q QEMU) record(over <-chan struct{}) error {
	err := q.Lease.Started(context.Background())
	select {
	case <-over:
		return nil
	default:
		return err
	}
}

// passOn gives QEMU the signals that vmhuge gets, until the end.
func passOn(signals <-chan os.Signal, qemu *os.Process, over <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			_ = qemu.Signal(s) // it may have ended
		case <-over:
			return
		}
	}
}

// hold gets what the pools lack. A signal on the way undoes it.
func (q QEMU) hold(ctx context.Context, signals <-chan os.Signal) ([]change.Change, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop, watched := make(chan struct{}), make(chan struct{})
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
	changed, err := q.Lease.Hold(ctx, q.Guest, nil)
	switch {
	case errors.Is(err, lease.ErrTaken):
		err = advice.New("starting "+q.Name, "a guest with the UUID "+q.UUID+" is running", "give it another -uuid, or none")
	case err == nil && ctx.Err() != nil:
		_, _, err = q.Lease.GiveBack()
		err = errors.Join(advice.New("starting "+q.Name, "interrupted", "its pages were freed"), err)
	}
	return changed, err
}

func (q QEMU) giveBack() (e Ended) {
	if q.Lease != nil {
		e.Given, e.Owed, e.GiveBackErr = q.Lease.GiveBack()
	}
	return e
}

// exitCode is a process's exit code as shells have it.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// filling is how QEMU gets on with its pages. How long it takes to fill them
// depends on how many there are; one that no longer gets on has what it gets.
type filling struct {
	timer    *time.Timer
	wantKiB  int64
	interval time.Duration
	since    time.Time // when it last got on
	proof    proof.Proof
	err      error
}

// Stalled is how long QEMU may take to get on.
const Stalled = 10 * time.Second

func newFilling(wantKiB int64) *filling {
	const first = 20 * time.Millisecond
	return &filling{timer: time.NewTimer(first), wantKiB: wantKiB, interval: first, since: time.Now()}
}

// look reads what QEMU has, and says whether that is the last word.
func (f *filling) look(prove func() (proof.Proof, error)) (over bool) {
	had := f.proof.Hugetlb()
	// An error is no last word: while pages come, two files tell two numbers.
	proof, err := prove()
	f.err = err
	if err == nil {
		f.proof = proof
	}
	if f.proof.Hugetlb() > had {
		f.since = time.Now()
	}
	if f.filled() || time.Since(f.since) > Stalled {
		return true
	}
	f.interval = min(f.interval*3/2, time.Second)
	f.timer.Reset(f.interval)
	return false
}

// stuck says that QEMU lacks some of what it preallocates.
func (f *filling) stuck() bool { return f.err == nil && f.wantKiB > 0 && !f.filled() }

// filled says whether QEMU has all that it preallocates.
func (f *filling) filled() bool {
	return f.err == nil && f.wantKiB > 0 && f.proof.Hugetlb() >= f.wantKiB
}
