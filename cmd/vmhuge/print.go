package main

import (
	"fmt"
	"strings"
	"unicode"

	"vmhuge/picture"
)

// say prints a line of the answer.
func (p *program) say(format string, args ...any) {
	if !p.quiet {
		p.insist(format, args...)
	}
}

// insist prints a line of the answer that --quiet does not keep back: one that
// says what is wrong.
func (p *program) insist(format string, args ...any) {
	if !p.json {
		fmt.Fprintf(p.stdout, format+"\n", args...)
	}
}

// warn prints a line beside the answer.
func (p *program) warn(format string, args ...any) {
	if !p.json {
		fmt.Fprintf(p.stderr, "vmhuge: "+format+"\n", args...)
	}
}

func (p *program) complain(err error) { p.warn("%s", oneLine(err.Error())) }

// oneLine keeps a domain's name or libvirt's words from breaking the line, and
// a terminal from obeying them.
func oneLine(text string) string {
	return harmless(strings.NewReplacer("\n", " ", "\t", " ").Replace(strings.TrimSpace(text)))
}

// harmless takes out what a terminal would obey. XML may hold the controls
// above 0x7f, among them the one that stands for ESC [, and those that turn
// the direction of the text round.
func harmless(line string) string {
	return strings.Map(func(r rune) rune {
		if (r != '\t' && unicode.IsControl(r)) || unicode.Is(unicode.Bidi_Control, r) {
			return '?'
		}
		return r
	}, line)
}

// printDiff prints a unified diff, in colours on a terminal.
func (p *program) printDiff(text string) {
	if p.quiet || p.json {
		return
	}
	style := p.style(p.stdout)
	for line := range strings.Lines(text) {
		line = harmless(strings.TrimRight(line, "\r\n"))
		switch {
		case strings.HasPrefix(line, "+"):
			line = style.Paint(picture.Green, line)
		case strings.HasPrefix(line, "-"):
			line = style.Paint(picture.Red, line)
		}
		fmt.Fprintln(p.stdout, line)
	}
}
