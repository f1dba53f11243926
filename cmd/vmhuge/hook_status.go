package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/hook"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

func (p *program) hookStatus(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return err
	}
	s, err := hook.ReadStatus(p.host())
	if errors.Is(err, fs.ErrPermission) {
		return advice.Wrap(err, "looking at the hook", advice.Refused(os.Geteuid()))
	}
	if err != nil {
		return advice.About(err, "looking at the hook")
	}
	say, code := p.say, exitDone
	if !s.Ready {
		say, code = p.insist, exitNotReady
	}
	if p.json {
		p.printJSON(map[string]any{"hook": s})
		return answered(code)
	}
	say("hook: %s", s)
	for _, f := range s.Findings {
		p.insist("  %s", findingWords(f))
	}
	if s.Installed {
		p.say("  settings: %s", settingsWords(s.Settings))
		p.say("  last call: %s", callWords(s.LastCall))
	}
	return answered(code)
}

func settingsWords(s hook.Settings) string {
	words := []string{"a guest restored on a host without room does not start"}
	if s.DropIfShort {
		words[0] = "a guest restored on a host without room starts without huge pages"
	}
	if s.HostReserveKiB > 0 {
		words = append(words, "the host keeps "+pages.FormatKiB(s.HostReserveKiB))
	}
	return strings.Join(words, "; ")
}

// callWords is a call in one line: when, for what, and what came of it.
func callWords(e *hook.Event) string {
	if e == nil {
		return "none since boot"
	}
	text := fmt.Sprintf("%s, %s of %s: %s", e.Time.Local().Format(time.DateTime), e.Operation, e.Name, e.Result)
	if e.Why != "" {
		text += " (" + e.Why + ")"
	}
	return oneLine(text)
}
