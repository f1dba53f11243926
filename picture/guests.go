package picture

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/internal/pages"
)

// Guest is a guest, and what backs its RAM.
type Guest struct {
	Name    string
	State   string
	RAMKiB  int64
	Backing pages.Backing
	Sizes   []pages.Size // of the pages that it takes from the pools
	// Percent is how much of its RAM is on huge pages; -1: it does not run or
	// asks for none, -2: it could not be told.
	Percent float64
	Nodes   string // that hold its hugetlb pages
	// GivenBackBy is what frees the pages that were added for it, once it stops:
	// the kernel, the hook, or vmhuge.
	GivenBackBy string
}

// BackingWords is what the guest asks for, in a word or two.
func (g Guest) BackingWords() string {
	switch g.Backing {
	case pages.THP:
		return "transparent"
	case pages.Hugetlb:
		var sizes []string
		for _, size := range g.Sizes {
			sizes = append(sizes, strings.TrimPrefix(size.String(), "the "))
		}
		return strings.Join(sizes, ", ")
	}
	return "small pages"
}

// PercentWords is the coverage in a word: 100 % is all of it.
func (g Guest) PercentWords() string {
	switch {
	case g.Percent <= -2:
		return "?"
	case g.Percent < 0:
		return ""
	case g.Percent == 0 || g.Percent >= 100:
		return fmt.Sprintf("%.0f %%", g.Percent)
	}
	return fmt.Sprintf("%.1f %%", g.Percent)
}

// Guests draws a line for each guest, below a header.
func (s Style) Guests(guests []Guest) (header string, lines []string) {
	text := func(title string, least int, of func(Guest) string) column {
		c := column{title: title, min: least}
		for _, g := range guests {
			c.cells = append(c.cells, s.Text(of(g)))
		}
		return c
	}
	name := text("GUEST", 16, func(g Guest) string { return g.Name })
	short := name
	short.min = 8
	state := text("STATE", 0, func(g Guest) string { return g.State })
	ram := text("RAM", 0, func(g Guest) string { return Size(g.RAMKiB) })
	backing := text("BACKING", 0, Guest.BackingWords)
	nodes := text("NODES", 0, func(g Guest) string { return g.Nodes })
	back := text("FREED BY", 0, func(g Guest) string { return g.GivenBackBy })
	percent := text("HUGE", 0, Guest.PercentWords)
	ram.right, percent.right = true, true
	for i, g := range guests {
		percent.cells[i] = s.Paint(g.colour(), percent.cells[i])
	}
	huge := text("HUGE PAGES", 0, func(Guest) string { return "" })
	for i, g := range guests {
		bar := strings.Repeat(" ", 10)
		if g.Percent >= 0 {
			tenths := min(10, int(g.Percent/10))
			bar = s.Paint(g.colour(), s.Plain().marks(Used, tenths)) + s.marks(Free, 10-tenths)
		}
		if g.PercentWords() != "" {
			huge.cells[i] = bar + "  " + s.Paint(g.colour(), fmt.Sprintf("%6s", g.PercentWords()))
		}
	}
	all := []column{name, state, ram, backing, huge, nodes}
	widest := all
	if slices.ContainsFunc(guests, func(g Guest) bool { return g.GivenBackBy != "" }) {
		widest = append(slices.Clone(all), back)
	}
	return s.table(len(guests), widest, all,
		[]column{name, state, ram, backing, percent, nodes},
		[]column{name, state, ram, backing, percent},
		[]column{name, state, ram, percent},
		[]column{short, state, ram, percent},
		[]column{short, state, percent})
}

func (g Guest) colour() Colour {
	switch {
	case g.Percent >= 100:
		return Green
	case g.Percent > 0:
		return Yellow
	case g.Percent == 0:
		return Red
	}
	return Dim
}
