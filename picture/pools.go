package picture

import (
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// Pool is the pool of one page size on one node, or on all nodes together. All
// counts are pages.
type Pool struct {
	Node     int // -1: the sum over the nodes
	Size     pages.Size
	Total    int64
	Free     int64 // in use by nobody; what is reserved counts as free
	Reserved int64 // of Free, what is promised to a guest; -1: not known, as the kernel counts it over all nodes
	Ours     int64 // added by vmhuge for a guest that has not ended
	// CouldMake is how many more the kernel could make; -1: not known.
	CouldMake int64
}

// amounts divides the pool into parts that do not overlap. Pages that were
// added for a guest are taken for those that are in use.
func (p Pool) amounts() []Amount {
	used := max(0, p.Total-p.Free)
	ours := min(max(0, p.Ours), p.Total)
	reserved := min(max(0, p.Reserved), p.Free)
	waiting := max(0, ours-used) // for a guest that starts
	free := max(0, p.Free-max(reserved, waiting))
	parts := []Amount{{Used, used - min(used, ours)}, {Ours, ours}, {Reserved, max(0, reserved-waiting)}, {Free, free}, {CouldMake, max(0, p.CouldMake)}}
	for i := range parts {
		parts[i].N *= p.Size.KiB()
	}
	return parts
}

func (p Pool) wholeKiB() int64 {
	return max(1, (p.Total+max(0, p.CouldMake))*p.Size.KiB())
}

// Pools draws a bar and the counts of each pool, all to one scale: the largest
// is the widest. What is below them tells what the marks mean.
func (s Style) Pools(pools []Pool) []string {
	if len(pools) == 0 {
		return []string{"the kernel has no huge pages that can be reserved"}
	}
	whole, couldMake, ours, reserved := int64(1), false, false, false
	for _, p := range pools {
		whole = max(whole, p.wholeKiB())
		couldMake = couldMake || p.CouldMake >= 0
		ours = ours || p.Ours > 0
		reserved = reserved || p.Reserved > 0
	}
	count := func(title string, of func(Pool) int64) column {
		c := column{title: title, right: true}
		for _, p := range pools {
			text := "?"
			if n := of(p); n >= 0 {
				text = strconv.FormatInt(n, 10)
			}
			c.cells = append(c.cells, text)
		}
		return c
	}
	node, size, share := column{title: "NODE"}, column{title: "PAGES"}, column{title: "USED", right: true}
	for _, p := range pools {
		name := "all"
		if p.Node >= 0 {
			name = strconv.Itoa(p.Node)
		}
		node.cells = append(node.cells, name)
		size.cells = append(size.cells, p.Size.String())
		share.cells = append(share.cells, strconv.FormatInt(p.Total-p.Free, 10)+"/"+strconv.FormatInt(p.Total, 10))
	}
	bar := func(least int) column {
		return column{min: least, bar: func(row, width int) string { return s.Bar(width, whole, pools[row].amounts()...) }}
	}
	total := count("TOTAL", func(p Pool) int64 { return p.Total })
	used := count("USED", func(p Pool) int64 { return p.Total - p.Free })
	kept := count("RESERVED", func(p Pool) int64 { return p.Reserved })
	free := count("FREE", func(p Pool) int64 { return p.Free - max(0, p.Reserved) })
	added := count("BY VMHUGE", func(p Pool) int64 { return p.Ours })
	could := count("AVAILABLE", func(p Pool) int64 { return p.CouldMake })
	full := []column{node, size, bar(16), total, used, kept, free, added}
	some := []column{node, size, bar(12), used, free, added}
	few := []column{node, size, bar(12), used, free}
	if couldMake {
		full, some, few = append(full, could), append(some, could), append(few, could)
	}
	header, lines := s.table(len(pools), full, some, few, []column{node, size, bar(8), share})
	lines = append([]string{header}, lines...)
	legend, room := "", s.Width
	for _, l := range []struct {
		part  Part
		shown bool
		words string
	}{{Used, true, "used"}, {Ours, ours, "added by vmhuge"}, {Reserved, reserved, "reserved"}, {Free, true, "free"}, {CouldMake, couldMake, "available"}} {
		if !l.shown {
			continue
		}
		item, between := s.Mark(l.part)+" "+l.words, "  "
		room -= len(l.words) + 4
		if legend == "" {
			between = ""
		} else if room < -2 {
			between, room = "\n", s.Width-len(l.words)-4
		}
		legend += between + item
	}
	return append(lines, strings.Split(legend, "\n")...)
}
