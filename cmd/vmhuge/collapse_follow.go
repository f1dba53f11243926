package main

import (
	"context"
	"time"

	"vmhuge/hostprep/collapse"
	"vmhuge/launcher"
	"vmhuge/watch"
)

// collapseAgain is when a guest is tried again of which too little is on huge pages.
const collapseAgain = 10 * time.Minute

// followCollapse collapses each guest on transparent huge pages once it has started, until it
// is interrupted. libvirt's hook could not do it: libvirt waits for that, and ends a guest for
// which it fails.
func (p *program) followCollapse(ctx context.Context, o collapse.Options) error {
	changes := make(chan struct{}, 1)
	changed := func() {
		select {
		case changes <- struct{}{}:
		default:
		}
	}
	l, err := launcher.Follow(p.uri, p.host(), changed)
	if err != nil {
		return err
	}
	if _, err := l.THPRuns(); err != nil {
		l.Close()
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var tries map[launcher.THPRun]time.Time
		for again := lookAgain; ctx.Err() == nil; again = lookAgain {
			if l != nil && !l.Alive() {
				l.Close()
				l = nil
			}
			if l == nil {
				if l, err = launcher.Follow(p.uri, p.host(), changed); err != nil {
					again = watch.Interval
				}
			}
			if l != nil {
				tries = p.collapseRuns(ctx, l, o, tries)
			}
			select {
			case <-ctx.Done():
			case <-changes:
			case <-time.After(again):
			}
		}
	}()
	<-ctx.Done()
	select {
	case <-done:
	case <-time.After(patience): // libvirt hangs
	}
	return nil
}

// collapseRuns collapses the guests whose time has come, and returns when each is to be tried
// again; zero: it is done.
func (p *program) collapseRuns(ctx context.Context, l *launcher.Launcher, o collapse.Options, tries map[launcher.THPRun]time.Time) map[launcher.THPRun]time.Time {
	runs, err := l.THPRuns()
	if err != nil {
		p.warn("%v", err)
	}
	next := map[launcher.THPRun]time.Time{}
	for _, run := range runs {
		at, tried := tries[run]
		if ctx.Err() == nil && (!tried || !at.IsZero() && !time.Now().Before(at)) {
			at = time.Time{}
			of := o
			if run.AtLeast > 0 {
				of.AtLeast = run.AtLeast
			}
			if p.exit(p.collapse(ctx, l, []string{run.UUID}, of)) != exitDone {
				at = time.Now().Add(collapseAgain)
			}
		}
		next[run] = at
	}
	return next
}
