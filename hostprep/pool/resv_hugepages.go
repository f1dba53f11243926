package pool

import (
	"fmt"
	"strconv"
	"strings"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// ReadReserved reads resv_hugepages of a size: the pages that are promised to mappings and not
// yet faulted in. A fault of some kernels lets the count fall below 0, until the next boot. The
// kernel then prints it as a large number without sign, promises that many pages more than
// there are, and frees no page of the pool while fewer than that many are in use.
//
// Source: set_max_huge_pages and available_huge_pages in mm/hugetlb.c of the kernel.
func ReadReserved(root hostfs.Root, size pages.Size) (int64, error) {
	path := append(globalDir[:len(globalDir):len(globalDir)], sizeDir(size), "resv_hugepages")
	text, err := root.Read(path...)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is not a number", root.Path(path...), text)
	}
	return int64(n), nil
}
