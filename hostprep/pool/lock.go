package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/process"
	"vmhuge/internal/advice"
	"vmhuge/internal/hostfs"
)

// lockDeadline is how long a writer waits for another one. Growing a pool by
// hundreds of GiB is the longest that anybody holds the lock.
const lockDeadline = 60 * time.Second

// stoppedWait is how long a writer waits for one that is stopped, as by Ctrl-Z. It may
// stay so for days.
const stoppedWait = 2 * time.Second

// busyWait is how long a writer waits for the lock before it takes the other one to be held
// up by a process that keeps its memory map locked.
const busyWait = 200 * time.Millisecond

// lock takes the one lock of all who change pools. The kernel drops it when
// the holder ends, however it ends. Only root may open the file: whoever can read it can
// lock it.
//
// Who waits for long looks at such processes meanwhile: what could not be read once is not
// waited for again by the same program, so that of many starts at once each does not take the
// whole of that time for itself.
func lock(ctx context.Context, root hostfs.Root) (*os.File, error) {
	path := root.Path(append(slices.Clip(runDir), "lock")...)
	f, err := hostfs.Open(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	_ = f.Chmod(0o600) // of an older vmhuge's
	ctx, cancel := context.WithTimeout(ctx, lockDeadline)
	defer cancel()
	began := time.Now()
	moving := began // when the holder was last seen not to be stopped
	meetHeld := sync.OnceFunc(func() { process.MeetHeld(root) })
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			text, _ := root.Read(append(slices.Clip(runDir), "lock")...)
			f.Close()
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, &advice.Error{What: "waiting for whoever changes the page pools", Why: "interrupted", Err: ctx.Err()}
			}
			holder := "another process"
			if pid := strings.TrimSpace(string(text)); pid != "" { // empty if it has only just taken the lock
				holder = "process " + pid
			}
			return nil, advice.New("locking the page pools", holder+" holds "+path, "wait for it to end, or end it")
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(began) > busyWait {
			meetHeld()
		}
		text, _ := root.Read(append(slices.Clip(runDir), "lock")...)
		pid, _ := strconv.Atoi(strings.TrimSpace(text))
		if !process.Stopped(root, pid) {
			moving = time.Now()
		} else if time.Since(moving) > stoppedWait {
			f.Close()
			return nil, advice.New("locking the page pools", fmt.Sprintf("process %d holds %s and is stopped", pid, path),
				fmt.Sprintf("kill -CONT %d lets it go on", pid))
		}
	}
	// For the message above; the lock does not depend on it.
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return f, nil
}
