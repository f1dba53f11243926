package pool

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"vmhuge/internal/hostfs"
)

// Some of what the kernel is asked for it does in the system call itself, and on the way it waits
// for memory that others use: for a page that a file system is reading, for ever if the file
// system's server does not answer, as that of any user's FUSE may not. A thread that waits so
// can't be killed, nor can its process end. So a process of its own asks, which has neither the
// ledger's lock nor the pipe on which libvirt waits for the hook, and is left behind.

// errands are what our programs call themselves with, and one word, for such a process. libvirt
// calls a hook with more words, whatever the guest's name.
var errands = map[string]func(word string) error{
	compactCommand:    compactErrand,
	dropCachesCommand: dropCachesErrand,
	writeCommand:      writeErrand,
}

// alone is the host for which errands are run in a process of their own; "": none.
var alone hostfs.Root

// RunErrand is the first that a program calls. It has processes of their own run errands, and
// says whether this is one, which has nothing more to do than to end with this code.
func RunErrand(args []string) (code int, done bool) {
	if len(args) != 3 || errands[args[1]] == nil {
		alone = "/"
		return 0, false
	}
	runtime.LockOSThread() // whose state is that of the process
	err := errands[args[1]](args[2])
	errno := syscall.Errno(0)
	if err != nil && !errors.As(err, &errno) {
		errno = syscall.EINVAL
	}
	return int(errno), true
}

// errand is a command that runs one.
func errand(command, word string) *exec.Cmd {
	// Not of a context: what can't be killed can't be waited for.
	cmd := exec.Command("/proc/self/exe", command, word)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// await waits for an errand until it ends, has used no processor for so long, or is not wanted
// any more. One that still runs then is to end as soon as the kernel lets it.
func await(cmd *exec.Cmd, idle time.Duration, unwanted <-chan struct{}) (ended bool, err error) {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	look := time.NewTicker(idle / 8)
	defer look.Stop()
	p := progress{}
	for waits := true; waits; {
		select {
		case err := <-done:
			return true, err
		case <-unwanted:
			waits = false
		case now := <-look.C:
			waits = p.idle("/", cmd.Process.Pid, now) < idle
		}
	}
	_ = end(cmd.Process)
	select { // the kernel may have been where it heeds that
	case err := <-done:
		return true, err
	case <-look.C:
		return false, nil
	}
}

// end ends a process. Tests have one that can't be ended, as in the kernel.
var end = (*os.Process).Kill

// progress is how much of the processor a process had used at the last look, and for how long it
// had used none.
type progress struct {
	spent string
	at    time.Time
	none  time.Duration
}

// idle is for how long a process has used none, and would not have if others had let it. Looks come
// each eighth of patience or more often. Where there is more time between two, nobody had a
// processor: a virtual machine was stopped, or its host is overloaded.
func (p *progress) idle(root hostfs.Root, pid int, now time.Time) time.Duration {
	text, _ := root.Read("proc", strconv.Itoa(pid), "stat")
	spent, runs := "", false
	if f := hostfs.StatFields(text); len(f) > 12 {
		spent, runs = f[11]+" "+f[12], f[0] == "R" // utime, stime
	}
	if p.at.IsZero() || spent != p.spent || runs {
		p.none = 0
	} else {
		p.none += min(now.Sub(p.at), patience/8)
	}
	p.spent, p.at = spent, now
	return p.none
}

// exitError is the error with which an errand that writes a file has ended. What one came to that
// was killed is to be read back.
func exitError(path string, err error) error {
	ended := (*exec.ExitError)(nil)
	switch {
	case err == nil, errors.As(err, &ended) && ended.ExitCode() < 0:
		return nil
	case ended != nil:
		err = syscall.Errno(ended.ExitCode())
	}
	return &os.PathError{Op: "write", Path: path, Err: err}
}
