// Package picture draws a host's page pools and guests as text: values in,
// lines out. It knows no host and no terminal, only what a terminal can show.
package picture

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
)

// Style is what the terminal can show.
type Style struct {
	Width   int // columns
	Colours bool
	UTF8    bool // more than ASCII
}

// MinWidth is the least that is drawn for.
const MinWidth = 40

// Colour is a colour or a face of text: one of the terminal's own, which suit
// its background. Source: ECMA-48, 8.3.117.
type Colour string

// The colours.
const (
	Bold    Colour = "1"
	Dim     Colour = "2"
	Reverse Colour = "7"
	Red     Colour = "31"
	Green   Colour = "32"
	Yellow  Colour = "33"
	Cyan    Colour = "36"
)

// Plain is the style without colours.
func (s Style) Plain() Style {
	s.Colours = false
	return s
}

// Paint gives text a colour where there are colours.
func (s Style) Paint(c Colour, text string) string {
	if !s.Colours || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// Select reverses a line, to mark it. What is coloured in it keeps its colour: a bar
// that was reversed would show its gaps as full.
func (s Style) Select(line string) string {
	if !s.Colours {
		return line
	}
	var b strings.Builder
	for line != "" {
		plain, rest, coloured := strings.Cut(line, "\x1b[")
		b.WriteString(s.Paint(Reverse, plain))
		if !coloured {
			break
		}
		const end = "\x1b[0m"
		part, after, _ := strings.Cut(rest, end)
		b.WriteString("\x1b[" + part + end)
		line = after
	}
	return b.String()
}

// Text leaves ASCII where there is no more: of a name's other letters a ?.
func (s Style) Text(text string) string {
	if s.UTF8 {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '…':
			return '~'
		case r > 0x7e:
			return '?'
		}
		return r
	}, text)
}

// Fit makes text exactly so many columns wide: cut with a mark, or filled up.
func (s Style) Fit(text string, width int) string {
	text = s.Cut(text, width)
	return text + strings.Repeat(" ", max(0, width-lipgloss.Width(text)))
}

// Cut shortens text that is wider than so many columns, and marks the place.
func (s Style) Cut(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	mark := "~"
	if s.UTF8 {
		mark = "…"
	}
	cut := lipgloss.NewStyle().Inline(true).MaxWidth(width-1).Render(text) + mark
	if width == 1 {
		cut = mark
	}
	if strings.Contains(text, "\x1b") {
		cut += "\x1b[0m"
	}
	return cut
}

// Rule is a line across, with a title in it.
func (s Style) Rule(title string) string {
	dash := "-"
	if s.UTF8 {
		dash = "─"
	}
	head := s.Cut(dash+dash+" "+title+" ", s.Width)
	return s.Paint(Bold, head) + s.Paint(Dim, strings.Repeat(dash, max(0, s.Width-lipgloss.Width(head))))
}

// Part is how a part of a bar looks.
type Part int

// The parts, from what is taken to what is not.
const (
	Used Part = iota
	Ours
	Reserved
	Free
	CouldMake
)

// Mark is one column of a part.
func (s Style) Mark(p Part) string { return s.marks(p, 1) }

func (s Style) marks(p Part, n int) string {
	marks := []string{"#", "+", "%", "-", "."}
	if s.UTF8 {
		marks = []string{"█", "▓", "▒", "░", "·"}
	}
	return s.Paint([]Colour{Cyan, Green, Yellow, Dim, Dim}[p], strings.Repeat(marks[p], n))
}

// Amount is a part of a bar and how much of the whole it is.
type Amount struct {
	Part
	N int64
}

// Bar draws parts of a whole, which is so many columns wide. Every part that
// is not nothing is seen if there is room at all.
func (s Style) Bar(width int, whole int64, amounts ...Amount) string {
	var b strings.Builder
	whole = max(1, whole)
	left := 0 // parts still to be drawn
	for _, a := range amounts {
		if a.N > 0 {
			left++
		}
	}
	drawn, sum := 0, int64(0)
	for _, a := range amounts {
		if a.N <= 0 {
			continue
		}
		left--
		sum += a.N
		to := int((float64(sum)*float64(width) + float64(whole)/2) / float64(whole))
		to = min(max(to, drawn+1), max(drawn, width-left))
		b.WriteString(s.marks(a.Part, to-drawn))
		drawn = to
	}
	b.WriteString(strings.Repeat(" ", max(0, width-drawn)))
	return b.String()
}

// Size is an amount of memory in the largest unit of which there is one.
func Size(kib int64) string {
	for _, unit := range []struct {
		name string
		kib  int64
	}{{"TiB", 1 << 30}, {"GiB", 1 << 20}, {"MiB", 1 << 10}} {
		if kib >= unit.kib {
			return strings.Replace(fmt.Sprintf("%.1f %s", float64(kib)/float64(unit.kib), unit.name), ".0 ", " ", 1)
		}
	}
	return fmt.Sprintf("%d KiB", kib)
}
