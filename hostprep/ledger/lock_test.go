package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hosttest"
)

// Each of many writers reads, waits its turn, and adds one claim; none is lost.
func TestLockContention(t *testing.T) {
	root := fixture(t, oneNode, us())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			l, err := Open(t.Context(), root)
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			if err := l.Begin(Claim{UUID: web1[:35] + strconv.Itoa(i), Owner: owner()}); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	claims, err := ReadClaims(root)
	if err != nil || len(claims) != 8 {
		t.Errorf("%v, %v", claims, err)
	}
}

func TestLockHeld(t *testing.T) {
	root := fixture(t, oneNode, us())
	held, err := Open(t.Context(), root)
	must(t, err)
	path := root.Path("run", "vmhuge", "lock")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	want := fmt.Sprintf("locking the page pools: process %d holds %s; wait for it to end, or end it", os.Getpid(), path)
	if _, err := Open(ctx, root); err == nil || err.Error() != want {
		t.Errorf("%v\nnot\n%s", err, want)
	}

	must(t, os.Truncate(path, 0)) // as if the holder had only just got it
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, root); err == nil || !strings.Contains(err.Error(), ": another process holds ") {
		t.Error(err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	if _, err := Open(ctx, root); !errors.Is(err, context.Canceled) || err.Error() != "waiting for whoever changes the page pools: interrupted" {
		t.Errorf("interrupted: %v", err)
	}

	held.Close()
	again, err := Open(t.Context(), root)
	must(t, err)
	again.Close()
}

// Who holds the lock and is stopped is not waited for.
func TestLockHeldByStopped(t *testing.T) {
	hosttest.NeedRoot(t)
	root := fixture(t, oneNode, us())
	held := open(t, root)
	defer held.Close()
	write(t, root.Path("run", "vmhuge", "lock"), "4242\n")
	write(t, root.Path("proc/4242/stat"), "4242 (vmhuge (x) S) T 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 2 1 1\n")
	began := time.Now()
	_, err := Open(t.Context(), root)
	want := "locking the page pools: process 4242 holds " + root.Path("run", "vmhuge", "lock") + " and is stopped; kill -CONT 4242 lets it go on"
	if err == nil || err.Error() != want || time.Since(began) > 4*time.Second {
		t.Errorf("after %s: %v\nnot %s", time.Since(began), err, want)
	}
}

// A lock that is a symbolic link would make root write into somebody's file.
func TestLockSymlink(t *testing.T) {
	root := fixture(t, oneNode, us(), "-- etc/victim --\nprecious\n")
	must(t, os.MkdirAll(root.Path("run", "vmhuge"), 0o755))
	must(t, os.Symlink(root.Path("etc", "victim"), root.Path("run", "vmhuge", "lock")))
	if _, err := Open(t.Context(), root); !errors.Is(err, unix.ELOOP) || !strings.Contains(err.Error(), root.Path("run", "vmhuge", "lock")) {
		t.Errorf("%v", err)
	}
	if text, _ := root.Read("etc", "victim"); text != "precious\n" {
		t.Errorf("the file behind it is now %q", text)
	}
}

// Who may open the lock, if only to read it, may hold it, and all starts of guests
// would wait.
func TestLockIsRootsAlone(t *testing.T) {
	root := fixture(t, oneNode, us())
	path := root.Path("run", "vmhuge", "lock")
	for _, before := range []string{"none", "an older vmhuge's"} {
		l, err := Open(t.Context(), root)
		must(t, err)
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s: %v", before, info.Mode())
		}
		l.Close()
		must(t, os.Chmod(path, 0o644))
	}
}
