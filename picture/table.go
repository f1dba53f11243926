package picture

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// column is a column of a table. One with a bar takes what room the others leave.
type column struct {
	title string
	right bool // aligned to the right, as numbers are
	min   int  // what a bar needs; what the first column may be cut down to, 0: it is not
	cells []string
	bar   func(row, width int) string
}

const gap = 2 // columns of the terminal between two of a table

// widths says how wide each column becomes in so many columns of the terminal,
// and how many of these are missing.
func widths(columns []column, room int) (all []int, missing int) {
	for _, c := range columns {
		w := lipgloss.Width(c.title)
		for _, cell := range c.cells {
			w = max(w, lipgloss.Width(cell))
		}
		if c.bar != nil {
			w = max(w, c.min)
		}
		all = append(all, w)
		room -= w + gap
	}
	room += gap
	if least := columns[0].min; room < 0 && least > 0 {
		give := min(-room, max(0, all[0]-least))
		all[0] -= give
		room += give
	}
	for i, c := range columns {
		if c.bar != nil && room > 0 {
			all[i] += room
		}
	}
	return all, max(0, -room)
}

// table draws the first of several sets of columns that has room, or the last.
func (s Style) table(rows int, sets ...[]column) (header string, lines []string) {
	var columns []column
	var all []int
	for _, columns = range sets {
		var missing int
		all, missing = widths(columns, s.Width)
		if missing == 0 {
			break
		}
	}
	line := func(cell func(i int, c column) string) string {
		var b strings.Builder
		for i, c := range columns {
			text := cell(i, c)
			pad := strings.Repeat(" ", max(0, all[i]-lipgloss.Width(text)))
			if c.right {
				text = pad + text
			} else {
				text = s.Cut(text, all[i])
				if i < len(columns)-1 {
					text += strings.Repeat(" ", max(0, all[i]-lipgloss.Width(text)))
				}
			}
			if i > 0 {
				b.WriteString(strings.Repeat(" ", gap))
			}
			b.WriteString(text)
		}
		return strings.TrimRight(s.Cut(b.String(), s.Width), " ")
	}
	header = s.Paint(Bold, line(func(_ int, c column) string { return c.title }))
	for row := range rows {
		lines = append(lines, line(func(i int, c column) string {
			if c.bar != nil {
				return c.bar(row, all[i])
			}
			return c.cells[row]
		}))
	}
	return header, lines
}
