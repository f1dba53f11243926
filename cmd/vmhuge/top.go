package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/internal/advice"
	"vmhuge/launcher"
	"vmhuge/picture"
	"vmhuge/top"
	"vmhuge/xml"
)

func (p *program) topCommand() *cli.Command {
	return &cli.Command{
		Name:     "top",
		Usage:    "watch pools and guests live; start, stop and enable them with a key",
		Category: watching,
		Description: `Shows the pools, the guests and the hook's last calls, refreshed every two seconds.
Enter shows details of the selected guest; s starts it, x stops it and e enables it:
each shows what it will do and asks you to press y. ? lists the keys, q quits. If
libvirt hangs or is down, top keeps running and says so. vmhuge-status(1) explains
the columns.

FILES
  /sys/devices/system/node/
  /run/vmhuge/claims/
  /run/vmhuge/hook.log
EXIT STATUS
  0
  1
  2`,
		UsageText: `  vmhuge top
  vmhuge top --interval 500ms`,
		Flags: []cli.Flag{&cli.StringFlag{Name: "interval", Usage: "`TIME` refresh that often, such as 2s or 500ms", Value: "2s"}},
		Action: func(c *cli.Context) error {
			if err := noNames(c); err != nil {
				return err
			}
			interval, err := parseTime("interval", c.String("interval"))
			if err != nil {
				return err
			}
			switch {
			case interval < time.Second/10:
				return usage("--interval must be at least 100ms, not %v", interval)
			case p.json:
				return usage("top is interactive and has no JSON output; vmhuge status --json has the same data")
			case !terminal(p.stdin) || !terminal(p.stdout):
				return &advice.Error{What: "command line", Why: "top needs a terminal",
					Do: "vmhuge status shows the same once, and with --watch again and again", Kind: advice.Usage}
			}
			return p.top(c.Context, interval)
		},
	}
}

// top shows the view, and brings to its end what was begun in it.
func (p *program) top(ctx context.Context, interval time.Duration) error {
	view, hangup := signal.NotifyContext(ctx, unix.SIGHUP)
	defer hangup()
	s := &topSource{p: p, ctx: ctx}
	err := top.Run(view, p.stdin, p.stdout, top.New(s.source(), func(width int) picture.Style {
		style := p.style(p.stdout)
		style.Width = width
		return style
	}, interval))
	s.over.Store(true)
	if s.unfinished.Load() > 0 {
		p.warn("finishing what was begun; Ctrl-C interrupts it")
	}
	s.begun.Wait()
	if s.reading.TryLock() { // else libvirt does not answer
		s.close()
	}
	if err != nil {
		return advice.Wrap(err, "top", "")
	}
	return nil
}

// topSource is the host and its libvirt, for the view.
type topSource struct {
	p   *program
	ctx context.Context

	reading sync.Mutex         // held while the guests are read
	guests  *launcher.Launcher // the connection for that, while it works
	hook    atomic.Pointer[hostprep.HookStatus]

	begun      sync.WaitGroup // actions
	unfinished atomic.Int64
	over       atomic.Bool // the view is gone
}

func (s *topSource) source() top.Source {
	return top.Source{
		Host:    func() (top.Host, error) { return told(s.readHost()) },
		Guests:  func() ([]top.Guest, error) { return told(s.readGuests()) },
		Details: func(g top.Guest) ([]string, error) { return told(s.details(g)) },
		Plan:    func(a top.Action, g top.Guest) ([]string, error) { return told(s.plan(a, g)) },
		Do:      func(a top.Action, g top.Guest, report func(string)) (string, error) { return told(s.do(a, g, report)) },
	}
}

// told makes of an error a line that no terminal obeys.
func told[T any](answer T, err error) (T, error) {
	if err != nil {
		err = errors.New(oneLine(err.Error()))
	}
	return answer, err
}

func (s *topSource) readHost() (top.Host, error) {
	status, err := launcher.ReadHostStatus(s.p.host())
	if err != nil {
		return top.Host{}, err
	}
	s.hook.Store(&status.Hook)
	host := top.Host{Pools: poolPictures(status.Pools), Wrong: hostStatus{Status: status}.wrong(true)}
	events, err := s.p.host().HookEvents()
	if err != nil {
		host.Wrong = append(host.Wrong, oneLine(err.Error()))
	}
	for _, e := range slices.Backward(events[max(0, len(events)-20):]) {
		host.Events = append(host.Events, callWords(&e))
	}
	return host, nil
}

// readGuests keeps its connection until it fails, and then tries a new one.
func (s *topSource) readGuests() ([]top.Guest, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.guests == nil {
		l, err := launcher.Open(s.p.uri, s.p.host())
		if err != nil {
			return nil, err
		}
		s.guests = l
	}
	var hook hostprep.HookStatus
	if known := s.hook.Load(); known != nil {
		hook = *known
	}
	status, err := s.guests.Guests(nil, hook)
	if err != nil {
		s.close()
		return nil, err
	}
	var guests []top.Guest
	for i, g := range guestPictures(status) {
		guests = append(guests, top.Guest{Guest: g, UUID: status[i].UUID, Active: status[i].Active})
	}
	return guests, nil
}

func (s *topSource) close() {
	if s.guests != nil {
		s.guests.Close()
		s.guests = nil
	}
}

// on connects anew: a connection answers one after another.
func (s *topSource) on(do func(l *launcher.Launcher) error) error {
	l, err := launcher.Open(s.p.uri, s.p.host())
	if err != nil {
		return err
	}
	defer l.Close()
	return do(l)
}

// printed is what the program prints, in lines.
func (s *topSource) printed(show func(p *program)) []string {
	var out bytes.Buffer
	show(&program{stdout: &out, stderr: &out, verbose: true, root: s.p.root})
	return strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
}

func (s *topSource) details(g top.Guest) (lines []string, err error) {
	err = s.on(func(l *launcher.Launcher) error {
		r, err := l.Check(g.UUID)
		lines = s.printed(func(p *program) {
			if r.Proof != nil {
				p.showVerified(verified{Name: r.Name, Proof: *r.Proof})
				r.Proof = nil
			} else {
				p.showReport(r)
			}
		})
		return err
	})
	if g.GivenBackBy != "" {
		lines = append(lines, "what was added for it is given back by: "+g.GivenBackBy)
	}
	return lines, err
}

// stopTimeout is that of vmhuge stop.
const stopTimeout = time.Minute

func (s *topSource) plan(action top.Action, g top.Guest) (lines []string, err error) {
	err = s.on(func(l *launcher.Launcher) error {
		switch action {
		case top.Start:
			r, err := l.Start(s.ctx, g.UUID, launcher.StartOptions{DryRun: true})
			lines = s.printed(func(p *program) { p.showStart(r, true) })
			return err
		case top.Enable:
			e, err := l.Enable(g.UUID, launcher.Want{Want: xml.Want{Backing: plainBacking()}, DryRun: true})
			lines = s.printed(func(p *program) { p.showEdit(e, "enabled", true) })
			return err
		}
		lines = []string{fmt.Sprintf("It is asked to shut down, and waited for, %v at most.", stopTimeout)}
		if g.GivenBackBy != "" {
			lines = append(lines, "The pages that were added for it are then given back to the host.")
		}
		return nil
	})
	return lines, err
}

func (s *topSource) do(action top.Action, g top.Guest, report func(step string)) (sentence string, err error) {
	s.begun.Add(1)
	s.unfinished.Add(1)
	defer s.begun.Done()
	defer s.unfinished.Add(-1)
	progress := func(step string, done, all int64) { report(step + progressWords(done, all)) }
	err = s.on(func(l *launcher.Launcher) error {
		switch action {
		case top.Start:
			r, err := l.Start(s.ctx, g.UUID, launcher.StartOptions{Progress: progress})
			sentence = strings.Join(s.printed(func(p *program) {
				p.showReport(launcher.Report{Name: r.Name, State: r.State, Verdict: r.Verdict, Ready: r.Ready, Backing: r.Backing, Totals: r.Totals, Proof: r.Proof})
			}), " ")
			if err == nil && !r.Ready {
				err = errNotReady(r)
			}
			return err
		case top.Enable:
			e, err := l.Enable(g.UUID, launcher.Want{Want: xml.Want{Backing: plainBacking()}})
			sentence = oneLine(e.Name) + ": enabled from its next start on"
			return err
		}
		stopped, err := l.Stop(s.ctx, g.UUID, launcher.StopOptions{Timeout: stopTimeout, Progress: progress})
		sentence = strings.Join(s.printed(func(p *program) { p.showStopped(stopped) }), " ")
		return err
	})
	if s.over.Load() {
		if err != nil {
			s.p.complain(err)
		} else {
			s.p.say("%s", sentence)
		}
	}
	return sentence, err
}

// errNotReady is why a guest could not be started, in a line.
func errNotReady(r launcher.Report) error {
	for _, f := range r.Findings {
		if f.Severity == hostprep.Blocker {
			return advice.New("starting "+r.Name, findingWords(f), "")
		}
	}
	return advice.New("starting "+r.Name, "it is not ready ("+string(r.Verdict)+")", "")
}
