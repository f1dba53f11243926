package live

import (
	"fmt"
	"time"

	"vmhuge/launcher"
	"vmhuge/top"
)

// stopTimeout is that of vmhuge stop.
const stopTimeout = time.Minute

// plan says in lines what an action would do.
func (s *Source) plan(action top.Action, g top.Guest) (lines []string, err error) {
	err = s.on(func(l *launcher.Launcher) error {
		switch action {
		case top.Start:
			r, err := l.Start(s.ctx, g.UUID, launcher.StartOptions{DryRun: true})
			lines = s.Words.Start(r)
			return err
		case top.Enable:
			want := s.Want
			want.DryRun = true
			e, err := l.Enable(g.UUID, want)
			lines = s.Words.Enable(e)
			return err
		case top.Collapse:
			c, err := l.Collapse(s.ctx, g.UUID, launcher.UsualCollapse(true, nil))
			lines = s.Words.Collapse(c)
			return err
		}
		lines = []string{fmt.Sprintf("It is asked to shut down; vmhuge waits up to %v for that.", stopTimeout)}
		if g.GivenBackBy != "" {
			lines = append(lines, "The pages that vmhuge added for it are then freed.")
		}
		return nil
	})
	return lines, err
}

// do does it, and says in a sentence what came of it.
func (s *Source) do(action top.Action, g top.Guest, report func(step string)) (sentence string, err error) {
	s.begun.Add(1)
	s.unfinished.Add(1)
	defer s.begun.Done()
	defer s.unfinished.Add(-1)
	progress := func(step string, done, all int64) { report(s.Words.Progress(step, done, all)) }
	err = s.on(func(l *launcher.Launcher) error {
		switch action {
		case top.Start:
			r, err := l.Start(s.ctx, g.UUID, launcher.StartOptions{Progress: progress})
			sentence = s.Words.Started(r)
			if err == nil && !r.Ready {
				err = s.Words.NotReady(r)
			}
			return err
		case top.Enable:
			e, err := l.Enable(g.UUID, s.Want)
			sentence = s.Words.Line(e.Name) + ": enabled from its next start on"
			return err
		case top.Collapse:
			c, err := l.Collapse(s.ctx, g.UUID, launcher.UsualCollapse(false, progress))
			if err == nil {
				sentence = s.Words.Collapse(c)[0]
			}
			return err
		}
		stopped, err := l.Stop(s.ctx, g.UUID, launcher.StopOptions{Timeout: stopTimeout, Progress: progress})
		sentence = s.Words.Stopped(stopped)
		return err
	})
	if s.over.Load() {
		s.Late(sentence, err)
	}
	return sentence, err
}
