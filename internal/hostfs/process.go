package hostfs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Some files of /proc/PID wait for the lock of that process's memory map: cmdline,
// environ, maps, smaps, numa_maps. Whoever runs the process can hold that lock for
// as long as they like, as in mmap of a FUSE file whose server does not answer.
// stat, status, comm, the owner of /proc/PID and the link exe don't wait.
const (
	processWait = time.Second           // for one file of one process
	guestWait   = 5 * time.Second       // for one that counts the pages of a guest's RAM, and
	gibWait     = 20 * time.Millisecond // for each GiB of that besides
	freeWait    = 10 * time.Millisecond // for a read that nothing holds up, on a busy host
	recovery    = 20 * time.Second      // from no patience to all of it
	maxStuck    = 64                    // reads, each of which holds a thread of ours
	looks       = 8                     // at a read, while it may wait
	mayRun      = 30                    // times as long a read may run as it may wait
)

// ErrHeld is the error of a process that does not let its memory map be read in time.
var ErrHeld = errors.New("the process keeps its memory map locked")

// ReadProcess reads a file of /proc/PID that may wait for the process, and waits no
// longer than a second; for all processes that hold such reads up, little more than
// two, and a tenth of the time that the program runs. The error is then ErrHeld, of which
// nothing follows: neither that the process has ended, nor what it is.
//
// Only time in which the read sleeps is counted. On a host that is overloaded, or a virtual
// machine that its own host lets run only at times, a read that nothing holds up takes seconds:
// it has no processor.
func (r Root) ReadProcess(pid int, name string) (string, error) {
	return r.readProcess(pid, name, freeWait, processWait)
}

// ReadGuest is ReadProcess of a QEMU with so much RAM, and waits for five seconds (ten for all)
// and 20 ms for each GiB: for smaps the kernel walks all page tables, which on small pages takes 13 ms
// a GiB here, and QEMU holds the lock while it allocates.
func (r Root) ReadGuest(pid int, name string, ramKiB int64) (string, error) {
	return r.readProcess(pid, name, freeWait+time.Duration(ramKiB>>20)*gibWait, guestWait)
}

func (r Root) readProcess(pid int, name string, free, wait time.Duration) (string, error) {
	return processReads.read(r.Path("proc", strconv.Itoa(pid), name), free, wait, func() (string, error) {
		return r.Read("proc", strconv.Itoa(pid), name)
	})
}

// processReads are those of this program: a read that is stuck can't be called off,
// and holds one of its threads. A program that ends is not kept by them, since the
// kernel lets go of a thread that is killed.
var processReads = stuckReads{reads: map[string]*pendingRead{}, runs: threadRuns}

// stuckReads are reads that did not end in time, by path.
//
// Whoever holds up one read can hold up a thousand. So patience with all of them is one: a
// read waits for its part of what is left, and takes half of that part away. Those that each
// may wait for a second so wait for two in all, however many there are.
type stuckReads struct {
	mu    sync.Mutex
	reads map[string]*pendingRead
	runs  func(thread int) bool // whether one of our threads runs, or would if it had a processor
	spent float64               // of the patience, 0 to 1, when a read last ended
	last  time.Time
}

// pendingRead is a read that goes on beside us. text and err are there once done is closed.
type pendingRead struct {
	thread atomic.Int64 // that reads; 0: it has had no processor yet
	done   chan struct{}
	text   string
	err    error
}

// sleeps says whether a read does.
func (s *stuckReads) sleeps(p *pendingRead) bool {
	thread := int(p.thread.Load())
	return thread != 0 && !s.runs(thread)
}

// threadRuns reads the state of a thread of this program. That does not wait.
func threadRuns(thread int) bool {
	text, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(thread) + "/stat")
	f := StatFields(string(text))
	return err == nil && len(f) > 0 && f[0] == "R"
}

// read waits for free, which costs no patience, and for no longer than wait besides.
func (s *stuckReads) read(path string, free, wait time.Duration, read func() (string, error)) (string, error) {
	held := fmt.Errorf("%s: %w", path, ErrHeld)
	s.mu.Lock()
	stuck := s.reads[path] != nil || len(s.reads) >= maxStuck
	patience := 1 - s.spentNow()
	s.mu.Unlock()
	if stuck {
		return "", held
	}
	p := &pendingRead{done: make(chan struct{})}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.thread.Store(int64(syscall.Gettid()))
		p.text, p.err = read()
		s.mu.Lock()
		defer s.mu.Unlock()
		close(p.done)
		if s.reads[path] == p {
			delete(s.reads, path)
		}
	}()
	slept := s.await(p, free, free+time.Duration(patience*float64(wait)), wait)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spend(slept-free, wait)
	select {
	case <-p.done: // perhaps just now
		return p.text, p.err
	default:
		s.reads[path] = p
		return "", held
	}
}

// await waits until a read has ended, or has slept for so long, and returns for how long it did.
func (s *stuckReads) await(p *pendingRead, free, limit, wait time.Duration) (slept time.Duration) {
	sleeps := true // at the last look
	for ran, each := time.Duration(0), min(free, wait/looks); slept < limit; each = min(limit-slept, wait/looks) {
		began := time.Now()
		timer := time.NewTimer(each)
		select {
		case <-p.done:
			timer.Stop()
			if sleeps {
				slept += min(each, time.Since(began))
			}
			return slept
		case <-timer.C:
		}
		// Each counts for no more than it is: we may have had no processor ourselves.
		if sleeps = ran >= mayRun*wait || s.sleeps(p); sleeps {
			slept += each
		} else {
			ran += each
		}
	}
	return slept
}

// spend takes patience for a read that was waited for, of those that may take as long as wait.
func (s *stuckReads) spend(waited, wait time.Duration) {
	if waited > 0 {
		s.spent = min(1, s.spentNow()+float64(waited)/float64(2*wait))
		s.last = time.Now()
	}
}

// spentNow is what has not come back since.
func (s *stuckReads) spentNow() float64 {
	return max(0, s.spent-float64(time.Since(s.last))/float64(recovery))
}

// StatusHugetlb reads from /proc/PID/status how many KiB a process has on hugetlb pages, of all sizes.
// The kernel gives that without waiting for the process.
//
//	HugetlbPages:     2097152 kB
func StatusHugetlb(text string) (kib int64, err error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "HugetlbPages:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 52)
			return int64(n), err
		}
	}
	return 0, errors.New("/proc/PID/status has no line HugetlbPages: the kernel has no hugetlb pages")
}

// StatFields are the fields of /proc/PID/stat behind the second, the program's name, which may
// hold blanks and brackets; nil: there are none. The first is the state.
//
//	4242 (qemu-system (x)) S 1 4242 4242 0 -1 4194624 12 0 0 0 0 0 0 0 20 0 1 0 88123 …
func StatFields(text string) []string {
	at := strings.LastIndexByte(text, ')')
	if at < 0 {
		return nil
	}
	return strings.Fields(text[at+1:])
}
