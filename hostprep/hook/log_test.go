package hook

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"vmhuge/hostprep/host"
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
