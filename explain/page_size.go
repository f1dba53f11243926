package explain

import (
	"strconv"
	"strings"

	"vmhuge/internal/lazyregexp"
)

// PageSizeIn returns the size of huge pages, in KiB, that a text says is missing; 0: none.
//
//	Unable to find any usable hugetlbfs mount for 1048576 KiB
//	-object {…"hugetlbsize":1073741824…}: failed to create memfd with flags …: No such device
func PageSizeIn(text string) int64 {
	text = English(Clean(text))
	for _, form := range sizeForms {
		found := form.pattern.Get().FindStringSubmatch(text)
		if found == nil {
			continue
		}
		n, _ := strconv.ParseInt(found[1], 10, 64) // one that does not fit is no size
		if len(found) > 2 && found[2] != "" {
			n <<= 10 * (strings.Index("kmgt", strings.ToLower(found[2])) + 1)
		}
		return n * form.unit >> 10
	}
	return 0
}

var sizeForms = []struct {
	pattern *lazyregexp.Regexp
	unit    int64 // bytes, where none is named
}{
	{lazyregexp.New(`hugetlbfs mount for ([0-9]{1,12}) KiB`), 1 << 10},
	{lazyregexp.New(`\bhugetlbsize"?[=:]"?([0-9]{1,12})([KMGkmg]?)\b`), 1},
}
