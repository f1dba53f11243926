package explain

import "strconv"

// PageSizeIn returns the size of huge pages, in KiB, that a text says is missing; 0: none.
//
//	Unable to find any usable hugetlbfs mount for 1048576 KiB
//	page size 1048576 is not available on node 0
//	/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages: No such file or directory
func PageSizeIn(text string) int64 {
	text = English(Clean(text))
	for _, form := range sizeForms {
		if found := form.Get().FindStringSubmatch(text); found != nil {
			kib, _ := strconv.ParseInt(found[1], 10, 64) // one that does not fit is no size
			return kib
		}
	}
	return 0
}

var sizeForms = expressions(
	`hugetlbfs mount for ([0-9]{1,12}) KiB`,
	`page size ([0-9]{1,12}) is not available`,
	`hugepages-([0-9]{1,12})kB/nr_hugepages: No such file`,
)
