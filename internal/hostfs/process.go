package hostfs

import (
	"errors"
	"fmt"
	"strconv"
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
	stuckWait   = 20 * time.Millisecond // once maxSlow reads are stuck, or for one known to be
	maxSlow     = 2
	maxStuck    = 64 // each holds a thread of ours until the process lets go
)

// ErrHeld is the error of a process that does not let its memory map be read in time.
var ErrHeld = errors.New("the process keeps its memory map locked")

// ReadProcess reads a file of /proc/PID that may wait for the process, and waits no
// longer than a second; for all processes that hold such reads up, little more than
// two. The error is then ErrHeld, of which nothing follows: neither that the process
// has ended, nor what it is.
func (r Root) ReadProcess(pid int, name string) (string, error) {
	return r.readProcess(pid, name, processWait)
}

// ReadGuest is ReadProcess of a QEMU with so much RAM, and waits for five seconds and 20 ms
// for each GiB: for smaps the kernel walks all page tables, which on small pages takes 13 ms
// a GiB here, and QEMU holds the lock while it allocates.
func (r Root) ReadGuest(pid int, name string, ramKiB int64) (string, error) {
	return r.readProcess(pid, name, guestWait+time.Duration(ramKiB>>20)*gibWait)
}

func (r Root) readProcess(pid int, name string, wait time.Duration) (string, error) {
	return processReads.read(r.Path("proc", strconv.Itoa(pid), name), wait, func() (string, error) {
		return r.Read("proc", strconv.Itoa(pid), name)
	})
}

// processReads are those of this program: a read that is stuck can't be called off,
// and holds one of its threads. A program that ends is not kept by them, since the
// kernel lets go of a thread that is killed.
var processReads = stuckReads{reads: map[string]*pendingRead{}}

// stuckReads are reads that did not end in time, by path.
type stuckReads struct {
	mu    sync.Mutex
	reads map[string]*pendingRead
}

// pendingRead is a read that goes on beside us. text and err are there once done is closed.
type pendingRead struct {
	done chan struct{}
	text string
	err  error
}

func (s *stuckReads) read(path string, wait time.Duration, read func() (string, error)) (string, error) {
	held := fmt.Errorf("%s: %w", path, ErrHeld)
	s.mu.Lock()
	p, known := s.reads[path]
	stuck := len(s.reads)
	s.mu.Unlock()
	if known || stuck >= maxSlow {
		wait = stuckWait
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	if known {
		select {
		case <-p.done: // of long ago, perhaps of a process that had this pid before: read it anew
		case <-timer.C:
			return "", held
		}
	}
	if stuck >= maxStuck {
		return "", held
	}
	p = &pendingRead{done: make(chan struct{})}
	go func() {
		p.text, p.err = read()
		s.mu.Lock()
		defer s.mu.Unlock()
		close(p.done)
		if s.reads[path] == p {
			delete(s.reads, path)
		}
	}()
	select {
	case <-p.done:
		return p.text, p.err
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-p.done: // just now
		return p.text, p.err
	default:
		s.reads[path] = p
		return "", held
	}
}
