package main

import (
	"context"
	"sync"
	"time"
)

// within is context.WithTimeout, but starts its timer when somebody first waits for it, which
// hardly a call does: with the first timer the Go runtime makes a poller and a thread for it.
func within(d time.Duration) (ctx context.Context, stop func()) {
	l := &late{Context: context.Background(), end: time.Now().Add(d)}
	l.armed = sync.OnceValue(func() context.Context {
		var armed context.Context
		armed, l.stop = context.WithDeadline(l.Context, l.end)
		return armed
	})
	return l, func() {
		if l.stop != nil {
			l.stop()
		}
	}
}

type late struct {
	context.Context
	end   time.Time
	armed func() context.Context
	stop  func()
}

func (l *late) Deadline() (time.Time, bool) { return l.end, true }
func (l *late) Done() <-chan struct{}       { return l.armed().Done() }

func (l *late) Err() error {
	if l.stop != nil {
		return l.armed().Err()
	}
	if time.Now().Before(l.end) {
		return nil
	}
	return context.DeadlineExceeded
}
