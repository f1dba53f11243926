package hostfs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
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
)

// ErrHeld is the error of a process that does not let its memory map be read in time.
var ErrHeld = errors.New("the process keeps its memory map locked")

// ReadProcess reads a file of /proc/PID that may wait for the process, and waits no
// longer than a second; for all processes that hold such reads up, little more than
// two, and a tenth of the time that the program runs. The error is then ErrHeld, of which
// nothing follows: neither that the process has ended, nor what it is.
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
var processReads = stuckReads{reads: map[string]*pendingRead{}}

// stuckReads are reads that did not end in time, by path.
//
// Whoever holds up one read can hold up a thousand. So patience with all of them is one: a
// read waits for its part of what is left, and takes half of that part away. Those that each
// may wait for a second so wait for two in all, however many there are.
type stuckReads struct {
	mu    sync.Mutex
	reads map[string]*pendingRead
	spent float64 // of the patience, 0 to 1, when a read last ended
	last  time.Time
}

// pendingRead is a read that goes on beside us. text and err are there once done is closed.
type pendingRead struct {
	done chan struct{}
	text string
	err  error
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
		p.text, p.err = read()
		s.mu.Lock()
		defer s.mu.Unlock()
		close(p.done)
		if s.reads[path] == p {
			delete(s.reads, path)
		}
	}()
	began := time.Now()
	timer := time.NewTimer(free + time.Duration(patience*float64(wait)))
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spend(time.Since(began)-free, wait)
	select {
	case <-p.done: // perhaps just now
		return p.text, p.err
	default:
		s.reads[path] = p
		return "", held
	}
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
