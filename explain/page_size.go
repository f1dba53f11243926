package explain

import (
	"strconv"
	"strings"

	"vmhuge/internal/lazyregexp"
)

// PageSizeIn returns the size of huge pages, in KiB, that a text says is missing; 0: none.
//
//	Unable to find any usable hugetlbfs mount for 1048576 KiB
//	page size 1048576 is not available on node 0
//	/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages: No such file or directory
//	-object {…"hugetlbsize":1073741824…}: failed to create memfd with flags …: No such device
//	HugeTLB: unsupported hugepagesz=1G
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
	{lazyregexp.New(`page size ([0-9]{1,12}) is not available`), 1 << 10},
	{lazyregexp.New(`hugepages-([0-9]{1,12})kB/nr_hugepages: No such file`), 1 << 10},
	{lazyregexp.New(`unsupported (?:default_)?hugepagesz=([0-9]{1,12})([KMGkmg]?)\b`), 1},
	{lazyregexp.New(`Unsupported page size ([0-9]{1,9}) MB`), 1 << 20},
	{lazyregexp.New(`\bhugetlbsize"?[=:]"?([0-9]{1,12})([KMGkmg]?)\b`), 1},
}
