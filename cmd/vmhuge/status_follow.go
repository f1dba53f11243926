package main

import (
	"context"
	"sync/atomic"
	"time"

	"vmhuge/hostprep/hostpage"
	"vmhuge/launcher"
	"vmhuge/watch"
)

const (
	// settling is how long a change is given to be over: a start of a guest is several.
	settling = 200 * time.Millisecond
	// lookAgain is how often what tells nobody of its changes is read, as how much of a
	// guest's RAM is on transparent huge pages.
	lookAgain = 30 * time.Second
)

// followed reads the status each time that something has changed. It keeps its connection
// to libvirt until that fails.
type followed struct {
	program *program
	names   []string
	changes chan struct{} // has one element while a change has not been read
	guests  *launcher.Launcher
	first   bool         // of the first reading an error ends it, as of a name that is not known
	since   atomic.Int64 // when the reading began that goes on, in Unix ns; 0: none does
}

func newFollowed(p *program, names []string) *followed {
	return &followed{program: p, names: names, first: true, changes: make(chan struct{}, 1)}
}

// changed has the status read again.
func (f *followed) changed() {
	select {
	case f.changes <- struct{}{}:
	default:
	}
}

// waiting is how long the reading has taken that goes on now.
func (f *followed) waiting() time.Duration {
	if since := f.since.Load(); since != 0 {
		return time.Since(time.Unix(0, since))
	}
	return 0
}

// run reads until the context ends; only a libvirt that hangs keeps it longer.
func (f *followed) run(ctx context.Context, readings chan<- hostStatus) {
	for {
		began := time.Now()
		f.since.Store(began.UnixNano())
		s := f.read()
		f.since.Store(0)
		rest, again := max(settling, time.Since(began)), lookAgain
		if s.unreachable != nil {
			again = watch.Interval
		}
		select {
		case <-ctx.Done():
			return
		case readings <- s:
		}
		select {
		case <-ctx.Done():
			return
		case <-f.changes:
		case <-time.After(again):
		}
		time.Sleep(rest) // the rest of the change, and not more than half of a processor
		select {
		case <-f.changes:
		default:
		}
	}
}

// read reads the status. Where libvirt can't be reached, it is the host's alone.
func (f *followed) read() (s hostStatus) {
	defer func() { s.Notes = hostpage.PoolNotes(f.program.host()) }()
	if f.guests != nil && !f.guests.Alive() {
		f.guests.Close()
		f.guests = nil
	}
	if f.guests == nil {
		f.guests, s.unreachable = launcher.Follow(f.program.uri, f.program.host(), f.changed)
	}
	if s.unreachable == nil {
		if s.Status, s.err = statusOf(f.guests, f.names); s.err == nil || f.first && f.guests.Alive() {
			f.first = false
			return s
		}
		s.unreachable = s.err
		if s.Pools != nil { // only a name is unknown
			s.err = nil
			return s
		}
	}
	s.Status, s.err = launcher.ReadHostStatus(f.program.host())
	return s
}
