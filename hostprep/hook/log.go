package hook

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/lock"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
)

// hookLog is a line of JSON for each call of the hook that did something, the
// oldest first. It is lost at reboot, and never longer than twice hookLogMax.
var hookLog = []string{"run", "vmhuge", "hook.log"}

// LogPath is where the log is.
func LogPath(h host.Host) string { return h.Root.Path(hookLog...) }

const logMax = 256 * 1024 // bytes

// Result is what a call of the hook came to.
type Result string

// The results of a call.
const (
	Passed   Result = "passed"   // the guest asks for no huge pages
	Held     Result = "held"     // its pages are there
	Released Result = "released" // what was added for it went back
	Dropped  Result = "dropped"  // restored without huge pages: there was no room
	Refused  Result = "refused"  // the host could not give the pages: the start fails
	Failed   Result = "failed"   // the hook could not do its work; the start goes on
)

// Results are the results that each operation can log.
var Results = map[string][]Result{
	"prepare": {Passed, Held, Refused, Failed},
	"release": {Released, Failed},
	"restore": {Held, Dropped, Failed},
}

// Reason is why the host could not give a guest its pages.
type Reason string

// The reasons of a refusal.
const (
	HostReserve Reason = "host-reserve" // the host keeps the memory for itself
	CommitLimit Reason = "commit-limit" // vm.overcommit_memory is 2, and each page lowers CommitLimit
	Fragmented  Reason = "fragmented"   // the kernel finds no contiguous memory
	KernelWaits Reason = "kernel-waits" // in a write of the pools of that size
	NotTried    Reason = "not-tried"    // the ledger could not be used, and too few are free
)

// Reasons are all of them.
var Reasons = []Reason{HostReserve, CommitLimit, Fragmented, KernelWaits, NotTried}

// ReasonOf is why a pool could not grow.
func ReasonOf(short *pool.Short) Reason {
	switch {
	case short != nil && short.Stuck != nil:
		return KernelWaits
	case short != nil && short.ByCommit:
		return CommitLimit
	case short != nil && short.Kept > 0:
		return HostReserve
	}
	return Fragmented
}

// Event is one call of the hook.
type Event struct {
	Time      time.Time       `json:"time"`
	Operation string          `json:"operation"`
	Name      string          `json:"name"`
	UUID      string          `json:"uuid"`
	Result    Result          `json:"result"`
	Changed   []change.Change `json:"changed,omitempty"` // on the host, for this guest
	Given     int64           `json:"given_bytes,omitempty"`
	Owed      int64           `json:"owed_bytes,omitempty"`
	Why       string          `json:"why,omitempty"` // of a refusal or a failure
	Reason    Reason          `json:"reason,omitempty"`
	// Microseconds is how long the call took, from the start of the process; 0: it was part of
	// a call for another guest.
	Microseconds int64 `json:"microseconds"`
}

// Log adds an event to the hook's log, and to the system's. One write of one line: two hooks
// that run at once do not mix.
func Log(h host.Host, e Event) error {
	tellSystem(h, e)
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	path := h.Root.Path(hookLog...)
	open := func() (*os.File, error) { // without waiting for who reads a pipe
		return hostfs.Open(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
	}
	f, err := open()
	if errors.Is(err, fs.ErrNotExist) { // the first since the host booted
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			f, err = open()
		}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	case info.Size() > logMax:
		turnLog(h, f)
	}
	_, err = f.Write(append(text, '\n'))
	return err
}

// turnLog puts a log that is too long aside, for the next call to begin a new
// one. Of hooks that find it too long at the same time one does so: a second would
// put the new one in its place. The lock is not the log's own, which all may read
// and so lock.
func turnLog(h host.Host, f *os.File) {
	lock.IfFree(h.Root, func() {
		path := h.Root.Path(hookLog...)
		mine, err1 := f.Stat()
		there, err2 := os.Lstat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, there) {
			_ = os.Rename(path, path+".1")
		}
	})
}

// Events returns the events that the log holds, oldest first. A line that
// can't be read, as a crash may leave one, is left out.
func Events(h host.Host) ([]Event, error) {
	events := []Event{}
	for _, suffix := range []string{".1", ""} {
		path := append([]string{}, hookLog...)
		path[len(path)-1] += suffix
		text, err := h.Root.Read(path...)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return events, err
		}
		lines := bufio.NewScanner(strings.NewReader(text))
		lines.Buffer(nil, logMax)
		for lines.Scan() {
			var e Event
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				events = append(events, e)
			}
		}
		if err := lines.Err(); err != nil {
			return events, err
		}
	}
	return events, nil
}
