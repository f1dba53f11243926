// Package live is what the live view is told and may ask for: the host's files and
// libvirt, read beside each other, and the actions on a guest. It words nothing
// itself: what an answer says in a line is the program's to decide.
package live

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/launcher"
	"vmhuge/top"
)

// Words makes lines of answers. None of them is obeyed by a terminal.
type Words struct {
	Line     func(text string) string     // of names, and of errors
	Area     func(launcher.Status) string // for pages of 1 GiB on demand; "": there is none
	Wrong    func(launcher.Status) []string
	Call     func(hook.Event) string
	Details  func(launcher.Report) []string
	Start    func(launcher.Report) []string // what a start would do
	Enable   func(launcher.Edit) []string   // what enable would do
	Started  func(launcher.Report) string
	NotReady func(launcher.Report) error // why it did not start
	Stopped  func(launcher.Stopped) string
	// Collapse is what a collapse would come to, or came to: the first line is a sentence.
	Collapse func(launcher.Collapsed) []string
	Progress func(step string, done, all int64) string
}

// Source reads a host and its libvirt for the view.
type Source struct {
	Host  host.Host
	URI   string
	Want  launcher.Want // what enable asks for
	Words Words
	// Late hears how an action ended that outlived the view.
	Late func(sentence string, err error)

	ctx context.Context // of the actions

	reading sync.Mutex         // held while the guests are read
	guests  *launcher.Launcher // the connection for that, while it works
	hook    atomic.Pointer[hook.Status]

	begun      sync.WaitGroup // actions
	unfinished atomic.Int64
	over       atomic.Bool // the view is gone
}

// View is the source as the view calls it. The context interrupts the actions.
func (s *Source) View(ctx context.Context) top.Source {
	s.ctx = ctx
	return top.Source{
		Host:   func() (top.Host, error) { return inLine(s, s.readHost) },
		Guests: func() ([]top.Guest, error) { return inLine(s, s.readGuests) },
		Details: func(g top.Guest) ([]string, error) {
			return inLine(s, func() ([]string, error) { return s.details(g) })
		},
		Plan: func(a top.Action, g top.Guest) ([]string, error) {
			return inLine(s, func() ([]string, error) { return s.plan(a, g) })
		},
		Do: func(a top.Action, g top.Guest, report func(string)) (string, error) {
			return inLine(s, func() (string, error) { return s.do(a, g, report) })
		},
	}
}

// inLine makes of an error a line that no terminal obeys.
func inLine[T any](s *Source, read func() (T, error)) (T, error) {
	answer, err := read()
	if err != nil {
		err = errors.New(s.Words.Line(err.Error()))
	}
	return answer, err
}

// Finish brings to its end what was begun, once the view is gone. waiting is called
// first if there is such a thing.
func (s *Source) Finish(waiting func()) {
	s.over.Store(true)
	if s.unfinished.Load() > 0 {
		waiting()
	}
	s.begun.Wait()
	if s.reading.TryLock() { // else libvirt does not answer
		s.close()
	}
}

func (s *Source) readHost() (top.Host, error) {
	status, err := launcher.ReadHostStatus(s.Host)
	if err != nil {
		return top.Host{}, err
	}
	s.hook.Store(&status.Hook)
	host := top.Host{Pools: Pools(status.Pools), Area: s.Words.Area(status), Wrong: s.Words.Wrong(status)}
	events, err := hook.Events(s.Host)
	if err != nil {
		host.Wrong = append(host.Wrong, s.Words.Line(err.Error()))
	}
	for _, e := range slices.Backward(events[max(0, len(events)-20):]) {
		host.Events = append(host.Events, s.Words.Call(e))
	}
	return host, nil
}

// readGuests keeps its connection until it fails, and then tries a new one.
func (s *Source) readGuests() ([]top.Guest, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.guests == nil {
		l, err := launcher.Open(s.URI, s.Host)
		if err != nil {
			return nil, err
		}
		s.guests = l
	}
	var hook hook.Status
	if known := s.hook.Load(); known != nil {
		hook = *known
	}
	status, err := s.guests.Guests(nil, hook)
	if err != nil {
		s.close()
		return nil, err
	}
	var guests []top.Guest
	for i, g := range Guests(status) {
		g.Name = s.Words.Line(g.Name)
		guests = append(guests, top.Guest{Guest: g, UUID: status[i].UUID, Active: status[i].Active})
	}
	return guests, nil
}

func (s *Source) close() {
	if s.guests != nil {
		s.guests.Close()
		s.guests = nil
	}
}

// on connects anew: a connection answers one after another.
func (s *Source) on(do func(l *launcher.Launcher) error) error {
	l, err := launcher.Open(s.URI, s.Host)
	if err != nil {
		return err
	}
	defer l.Close()
	return do(l)
}

func (s *Source) details(g top.Guest) (lines []string, err error) {
	err = s.on(func(l *launcher.Launcher) error {
		r, err := l.Check(g.UUID)
		lines = s.Words.Details(r)
		return err
	})
	if g.GivenBackBy != "" {
		lines = append(lines, "its pages are freed by: "+g.GivenBackBy)
	}
	return lines, err
}
