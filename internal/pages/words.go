package pages

import (
	"fmt"
	"slices"
	"strings"
)

// Amount writes bytes with at most one digit behind the point.
func Amount(bytes int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"TiB", 1 << 40}, {"GiB", GiB}, {"MiB", MiB}} {
		if bytes >= unit.bytes {
			if bytes%unit.bytes == 0 {
				return fmt.Sprintf("%d %s", bytes/unit.bytes, unit.name)
			}
			return fmt.Sprintf("%.1f %s", float64(bytes)/float64(unit.bytes), unit.name)
		}
	}
	return fmt.Sprintf("%d KiB", bytes/KiB)
}

func Plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func OrNothing(state string) string {
	if state == "" {
		return "not there"
	}
	return state
}

func JoinSizes(sizes []Size) string {
	var words []string
	for _, s := range sizes {
		words = append(words, s.String())
	}
	return strings.Join(words, ", ")
}

// SizeWord writes a size in short, as a user types it: 2M.
func SizeWord(size Size) string {
	return strings.TrimSuffix(strings.ReplaceAll(size.String(), " ", ""), "iB")
}

// Count writes a number of pages: 1200 pages of 2 MiB.
func Count(n int64, size Size) string {
	if n == 1 {
		return "1 page of " + size.String()
	}
	return fmt.Sprintf("%d pages of %s", n, size)
}

// ParseNodesOrNone reads a list of nodes; an empty one names none.
func ParseNodesOrNone(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	return ParseNodes(list)
}

func Intersect(a, b []int) []int {
	var both []int
	for _, n := range a {
		if slices.Contains(b, n) {
			both = append(both, n)
		}
	}
	return both
}

func OrNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func FormatMiB(bytes int64) string { return fmt.Sprintf("%d MiB", (bytes+MiB-1)/MiB) }
