package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vmhuge/picture"
)

func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	line := &progressLine{to: &out, name: "web1", cut: func(text string) string { return picture.Style{}.Cut(text, 39) }}
	draw := func() string {
		out.Reset()
		line.draw()
		return out.String()
	}
	if got := draw(); got != "" {
		t.Errorf("before anything is done: %q", got)
	}
	line.clear()
	line.gone = false
	if out.Len() > 0 {
		t.Errorf("what was not drawn is taken away: %q", out.String())
	}
	const start = "\r\x1b[K"
	line.report("starting", 0, 0)
	if got := draw(); got != start+"web1: starting …" {
		t.Errorf("%q", got)
	}
	line.since = time.Now().Add(-2500 * time.Millisecond)
	line.report("starting", 0, 0)
	if got := draw(); got != start+"web1: starting, 2 s" {
		t.Errorf("%q", got)
	}
	line.report("getting\npages", 3<<29, 4<<30)
	if got := draw(); got != start+"web1: getting pages: 1.5 of 4.0 GiB" {
		t.Errorf("%q", got)
	}
	line.report(strings.Repeat("x", 80), 0, 0)
	if got := draw(); len(got) != len(start)+39 {
		t.Errorf("%q", got)
	}
	line.clear()
	if got := out.String(); !strings.HasSuffix(got, start) || draw() != "" {
		t.Errorf("%q", got)
	}
}

// On a pipe nothing is drawn.
func TestProgressOnAPipe(t *testing.T) {
	var out bytes.Buffer
	report, clear := (&program{stderr: &out}).progress("web1")
	report("starting", 0, 0)
	clear()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}
