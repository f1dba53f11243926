package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"vmhuge/picture"
)

// watch draws the status again and again: on a terminal in place, else block
// after block, each under the time it was read. A libvirt that does not answer
// keeps nobody from ending it.
func (p *program) watch(ctx context.Context, names []string) error {
	inPlace := terminal(p.stdout)
	if inPlace {
		p.say("\x1b[H\x1b[2J")
	}
	for {
		read := make(chan hostStatus, 1)
		go func() { read <- p.readStatus(names) }()
		select {
		case <-ctx.Done():
			return nil
		case s := <-read:
			if s.err != nil && s.Pools == nil {
				return s.err
			}
			if !p.quiet {
				p.drawAgain(s, inPlace)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

func (p *program) drawAgain(s hostStatus, inPlace bool) {
	style := p.style(p.stdout)
	lines := append([]string{style.Rule(time.Now().Format(time.DateTime))}, s.lines(style)...)
	for _, err := range []error{s.unreachable, s.err} {
		if err != nil {
			lines = append(lines, style.Paint(picture.Red, "! "+oneLine(err.Error())))
		}
	}
	for _, line := range s.wrong(os.Geteuid() == 0) {
		lines = append(lines, style.Paint(picture.Red, "! "+line))
	}
	if !inPlace {
		fmt.Fprintln(p.stdout, strings.Join(lines, "\n")+"\n")
		return
	}
	if _, rows := screen(p.stdout); rows > 1 && len(lines) >= rows {
		lines = append(lines[:rows-2], fmt.Sprintf("and %d lines more", len(lines)-rows+2))
	}
	// Over what is there, so that nothing flickers: each line to its end, and
	// then what is below.
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, line := range lines {
		b.WriteString(style.Cut(line, style.Width) + "\x1b[K\n")
	}
	fmt.Fprint(p.stdout, b.String()+"\x1b[J")
}
