package main

import (
	"bytes"
	"context"
	"os/signal"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/hook"
	"vmhuge/internal/advice"
	"vmhuge/launcher"
	"vmhuge/live"
	"vmhuge/picture"
	"vmhuge/top"
	"vmhuge/xml"
)

func (p *program) topCommand() *cli.Command {
	return &cli.Command{
		Name:     "top",
		Usage:    "watch pools and guests live; start, stop, enable and collapse them with a key",
		Category: watching,
		Description: `Shows the pools, the guests and the hook's last calls, refreshed every two seconds.
Enter shows details of the selected guest; s starts it, x stops it, e enables it and
c collapses it: each shows what it will do and asks you to press y. ? lists the keys,
q quits. If libvirt hangs or is down, top keeps running and says so. vmhuge-status(1)
explains the columns.

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
					Do: "run vmhuge status, or vmhuge status --watch to refresh it", Kind: advice.Usage}
			}
			return p.top(c.Context, interval)
		},
	}
}

// top shows the view, and brings to its end what was begun in it.
func (p *program) top(ctx context.Context, interval time.Duration) error {
	view, hangup := signal.NotifyContext(ctx, unix.SIGHUP)
	defer hangup()
	s := &live.Source{Host: p.host(), URI: p.uri, Want: launcher.Want{Want: xml.Want{Backing: plainBacking()}}, Words: p.topWords(),
		Late: func(sentence string, err error) {
			if err != nil {
				p.complain(err)
			} else {
				p.say("%s", sentence)
			}
		}}
	err := top.Run(view, p.stdin, p.stdout, top.New(s.View(ctx), func(width int) picture.Style {
		style := p.style(p.stdout)
		style.Width = width
		return style
	}, interval))
	s.Finish(func() { p.warn("finishing the actions in progress; Ctrl-C interrupts them") })
	if err != nil {
		return advice.Wrap(err, "top", "")
	}
	return nil
}

// topWords says in the view what the other commands print.
func (p *program) topWords() live.Words {
	printed := func(show func(p *program)) []string {
		var out bytes.Buffer
		show(&program{stdout: &out, stderr: &out, verbose: true, root: p.root})
		return strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	}
	return live.Words{
		Line:  oneLine,
		Area:  areaLine,
		Wrong: func(s launcher.Status) []string { return hostStatus{Status: s}.wrong(true) },
		Call:  func(e hook.Event) string { return callWords(&e) },
		Details: func(r launcher.Report) []string {
			return printed(func(p *program) {
				if r.Proof != nil {
					p.showVerified(verified{Name: r.Name, Proof: *r.Proof})
				} else {
					p.showReport(r)
				}
			})
		},
		Start:  func(r launcher.Report) []string { return printed(func(p *program) { p.showStart(r, true) }) },
		Enable: func(e launcher.Edit) []string { return printed(func(p *program) { p.showEdit(e, "enabled", true) }) },
		Started: func(r launcher.Report) string {
			r.Findings, r.Changed, r.Fixable = nil, nil, false // in one line
			return strings.Join(printed(func(p *program) { p.showReport(r) }), " ")
		},
		NotReady: errNotReady,
		Stopped: func(s launcher.Stopped) string {
			return strings.Join(printed(func(p *program) { p.showStopped(s) }), " ")
		},
		Collapse: func(c launcher.Collapsed) []string { return printed(func(p *program) { p.showCollapsed(c) }) },
		Progress: func(step string, done, all int64) string { return step + progressWords(done, all) },
	}
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
