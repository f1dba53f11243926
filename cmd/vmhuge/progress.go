package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress shows on a terminal what takes long, and for how long it has. On a
// pipe nobody hears of it. The function clear takes the line away.
func (p *program) progress(name string) (report func(step string, done, all int64), clear func()) {
	if !terminal(p.stderr) || p.quiet || p.json {
		return func(string, int64, int64) {}, func() {}
	}
	line := &progressLine{to: p.stderr, name: oneLine(name), cut: func(text string) string {
		style := p.style(p.stderr)
		return style.Cut(style.Text(text), style.Width-1) // in the last column some terminals wrap
	}}
	stop := make(chan struct{})
	go func() {
		for tick := time.NewTicker(time.Second / 4); ; {
			select {
			case <-tick.C:
				line.draw()
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	return line.report, func() { line.clear(); close(stop) }
}

// progressLine is one line that is written over and over.
type progressLine struct {
	sync.Mutex
	to    io.Writer
	name  string
	cut   func(string) string
	step  string
	words string    // how far it is
	since time.Time // the step began
	drawn bool
	gone  bool
}

// report hears of a step, and of how many bytes of all are done, or 0 of 0.
func (l *progressLine) report(step string, done, all int64) {
	l.Lock()
	defer l.Unlock()
	step = oneLine(step)
	if step != l.step {
		l.step, l.since = step, time.Now()
	}
	l.words = progressWords(done, all)
}

// progressWords says how many bytes of all are done.
func progressWords(done, all int64) string {
	if all == 0 {
		return ""
	}
	return fmt.Sprintf(": %.1f of %.1f GiB", gib(done), gib(all))
}

// draw writes the line. What is over in no time never gets that far.
func (l *progressLine) draw() {
	l.Lock()
	defer l.Unlock()
	if l.gone || l.step == "" {
		return
	}
	text := l.name + ": " + l.step + l.words
	if seconds := int(time.Since(l.since).Seconds()); seconds > 0 {
		text += fmt.Sprintf(", %d s", seconds)
	} else if l.words == "" {
		text += " …"
	}
	fmt.Fprintf(l.to, "\r\x1b[K%s", l.cut(text))
	l.drawn = true
}

func (l *progressLine) clear() {
	l.Lock()
	defer l.Unlock()
	l.gone = true
	if l.drawn {
		fmt.Fprint(l.to, "\r\x1b[K")
	}
}

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }
