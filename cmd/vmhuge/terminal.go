package main

import (
	"cmp"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"vmhuge/picture"
)

// style says what a stream can show; nobody else decides that. A pipe has 80
// columns unless $COLUMNS says otherwise, and no colours.
func (p *program) style(stream any) picture.Style {
	s := picture.Style{Width: 80}
	locale := strings.ToUpper(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	s.UTF8 = strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
	if n, err := strconv.ParseUint(os.Getenv("COLUMNS"), 10, 15); err == nil && n > 0 {
		s.Width = int(n)
	}
	if width, _ := screen(stream); width > 0 {
		s.Width = width
	}
	s.Width = max(s.Width, picture.MinWidth)
	s.Colours = terminal(stream) && !p.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return s
}

// terminal says whether a stream is one that a person looks at.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// screen is the size of a terminal, as far as it knows it; else 0.
func screen(stream any) (columns, lines int) {
	f, ok := stream.(*os.File)
	if !ok {
		return 0, 0
	}
	columns, lines, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, lines
}
