// Package lock is the one lock of all who change the page pools: vmhuge, its hook and its
// service, whatever version. Each holds it for as long as it reads and writes the ledger.
package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// deadline is how long a writer waits for another one. Growing a pool by
// hundreds of GiB is the longest that anybody holds the lock.
const deadline = 60 * time.Second

// stoppedWait is how long a writer waits for one that is stopped, as by Ctrl-Z. It may
// stay so for days.
const stoppedWait = 2 * time.Second

// busyWait is how long a writer waits for the lock before it takes the other one to be held
// up by a process that keeps its memory map locked.
const busyWait = 200 * time.Millisecond

// Take waits for the lock, and the file that it returns holds it until it is closed. The
// kernel drops the lock when the holder ends, however it ends. Only root may open the file:
// whoever can read it can lock it.
//
// Who waits for long looks at such processes meanwhile: what could not be read once is not
// waited for again by the same program, so that of many starts at once each does not take the
// whole of that time for itself.
func Take(ctx context.Context, root hostfs.Root) (*os.File, error) {
	if err := os.MkdirAll(root.Path(hostfs.RunDir...), 0o755); err != nil {
		return nil, cannot(err, os.Geteuid())
	}
	// The pools are the host's. Two ledgers of them would each take what the other adds for the
	// count that an administrator has set.
	if same, err := root.SeenByInit(hostfs.RunDir...); err != nil || !same {
		return nil, cmp.Or(err, error(advice.New("changing the page pools", root.Path(hostfs.RunDir...)+" is not the one that process 1 has, and another vmhuge may keep account of the same pages there",
			"run it as nsenter --target 1 --mount vmhuge …, or bind-mount the host's "+root.Path(hostfs.RunDir...)+" here")))
	}
	file, err := take(ctx, root)
	return file, cannot(err, os.Geteuid())
}

func cannot(err error, euid int) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return advice.Wrap(err, "changing the page pools", advice.Refused(euid))
}

// IfFree calls do while no other run of vmhuge changes the pools. It does not wait: false
// means that another run has the lock, and do was not called.
func IfFree(root hostfs.Root, do func()) bool {
	now, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	file, err := Take(now, root)
	if err != nil {
		return false
	}
	defer file.Close()
	do()
	return true
}

func take(ctx context.Context, root hostfs.Root) (*os.File, error) {
	path := root.Path(append(slices.Clip(hostfs.RunDir), "lock")...)
	f, err := hostfs.Open(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	_ = f.Chmod(0o600) // of an older vmhuge's
	err = try(f)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		err = wait(ctx, root, f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	// For the message of who waits; the lock does not depend on it.
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return f, nil
}

func try(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	return nil
}

// wait waits for the lock that another process has.
func wait(ctx context.Context, root hostfs.Root, f *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	began := time.Now()
	moving := began // when the holder was last seen not to be stopped
	meetHeld := sync.OnceFunc(func() { process.MeetHeld(root) })
	for {
		select {
		case <-ctx.Done():
			text, _ := root.Read(append(slices.Clip(hostfs.RunDir), "lock")...)
			if errors.Is(ctx.Err(), context.Canceled) {
				return &advice.Error{What: "waiting for whoever changes the page pools", Why: "interrupted", Err: ctx.Err()}
			}
			holder := "another process"
			if pid := strings.TrimSpace(string(text)); pid != "" { // empty if it has only just taken the lock
				holder = "process " + pid
			}
			return advice.New("locking the page pools", holder+" holds "+f.Name(), "wait for it to end, or end it")
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(began) > busyWait {
			meetHeld()
		}
		text, _ := root.Read(append(slices.Clip(hostfs.RunDir), "lock")...)
		pid, _ := strconv.Atoi(strings.TrimSpace(text))
		if !process.Stopped(root, pid) {
			moving = time.Now()
		} else if time.Since(moving) > stoppedWait {
			return advice.New("locking the page pools", fmt.Sprintf("process %d holds %s and is stopped", pid, f.Name()),
				fmt.Sprintf("kill -CONT %d lets it go on", pid))
		}
		if err := try(f); !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
