package hook

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

// Hooks that turn the log over at the same time lose nothing of it.
func TestHookLogTurns(t *testing.T) {
	const each, hooks = 1 << 10, 16
	const events = 3 * logMax / 2 / each // for one turn, and no second one
	for range 5 {
		h := host.Host{Root: hostfs.Root(t.TempDir())}
		next := make(chan int)
		var wait sync.WaitGroup
		for range hooks {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for i := range next {
					if err := Log(h, Event{Name: strconv.Itoa(i), Why: strings.Repeat("x", each-200)}); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		for i := range events {
			next <- i
		}
		close(next)
		wait.Wait()
		if logged, err := Events(h); len(logged) != events || err != nil {
			t.Fatalf("%d of %d events are there, %v", len(logged), events, err)
		}
	}
}

// A pipe in the log's place holds up no start, whether somebody reads it or not.
func TestHookLogIsAPipe(t *testing.T) {
	h := host.Host{Root: hostfs.Root(t.TempDir())}
	path := h.Root.Path(hookLog...)
	hosttest.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	hosttest.Must(t, unix.Mkfifo(path, 0o644))
	if err := Log(h, Event{Name: "web1"}); err == nil {
		t.Error("it is written without a reader")
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	hosttest.Must(t, err)
	defer reader.Close()
	for range 20 {
		if err := Log(h, Event{Name: "web1", Why: strings.Repeat("x", 8<<10)}); err == nil {
			t.Fatal("it is written for a reader")
		}
	}
}
