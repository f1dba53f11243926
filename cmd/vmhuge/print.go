package main

import (
	"fmt"
	"slices"
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
		fmt.Fprintf(p.stdout, format+"\n", plain(args)...)
	}
}

// plain makes one harmless line of each change, error and other value that is printed by
// its own method: a user's file or libvirt's words may be in it.
func plain(args []any) []any {
	args = slices.Clone(args)
	for i, arg := range args {
		switch value := arg.(type) {
		case error:
			args[i] = oneLine(value.Error())
		case fmt.Stringer:
			args[i] = oneLine(value.String())
		}
	}
	return args
}

// warn prints a line beside the answer.
func (p *program) warn(format string, args ...any) {
	if !p.json {
		fmt.Fprintf(p.stderr, "vmhuge: "+format+"\n", plain(args)...)
	}
}

func (p *program) complain(err error) { p.warn("%s", oneLine(err.Error())) }

// oneLine keeps a domain's name or libvirt's words from breaking the line, and
// a terminal from obeying them.
func oneLine(text string) string {
	return harmless(strings.NewReplacer("\n", " ", "\t", " ").Replace(strings.TrimSpace(text)))
}

// harmless takes out what a terminal would obey, and what nobody sees: no name may look like
// another by characters that have no shape.
func harmless(line string) string {
	before := ' '
	return strings.Map(func(r rune) rune {
		if r != '\t' && unseen(r) && !shapes(before, r) {
			r = '?'
		}
		before = r
		return r
	}, line)
}

const (
	zeroWidthJoiner = '\u200d'
	textStyle       = '\ufe0e'
	emojiStyle      = '\ufe0f'
)

// shapes says whether a character changes how the one before it looks: a symbol's style can
// be chosen, and symbols can be joined, as in the sign for a family.
func shapes(before, r rune) bool {
	symbol := unicode.Is(unicode.So, before) || before >= 0x1f3fb && before <= 0x1f3ff // these are colours of skin
	switch r {
	case textStyle, emojiStyle:
		return symbol
	case zeroWidthJoiner:
		return symbol || before == emojiStyle
	}
	return false
}

// unseen says whether a character is a control or has no shape of its own. XML may hold the
// controls above 0x7f, among them the one that stands for ESC [, those that turn the
// direction of the text round, and the tags and variation selectors, which can spell a whole
// word unseen.
func unseen(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || strings.ContainsRune(blank, r)
}

// blank are letters and symbols that are empty: of Braille, Khitan and music.
const blank = "\u2800\U00016fe4\U0001d159"

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
