package host

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// PageType is what a zone has of the pageblocks of one type: the kernel keeps
// together what it can move, and apart what it can't.
type PageType struct {
	Node  int
	Zone  string
	Type  string  // Movable, Unmovable, Reclaimable, HighAtomic, CMA, Isolate
	Free  []int64 // free blocks by order
	Pages int64   // small pages in all pageblocks of the type, free or not
}

// PageTypes reads /proc/pagetypeinfo, which is root's to read.
func (h Host) PageTypes() ([]PageType, error) {
	text, err := h.Root.Read("proc", "pagetypeinfo")
	if err != nil {
		return nil, err
	}
	return parsePagetypeinfo(strings.NewReader(text))
}

// parsePagetypeinfo reads both of its tables. Where the kernel has no mind to
// count on, it writes >100000:
//
//	Pages per block:  512
//	Free pages count per migrate type at order       0      1      2 …
//	Node    0, zone   Normal, type    Unmovable     33    280 >100000 …
//	Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate
//	Node 0, zone   Normal           67         1921           60            0            0
//
// Source: pagetypeinfo_show() in the kernel's mm/vmstat.c.
func parsePagetypeinfo(r io.Reader) ([]PageType, error) {
	var types []PageType
	var columns []string // of the second table
	var perBlock int64
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		f := strings.Fields(scan.Text())
		var words []string
		switch {
		case len(f) == 4 && f[0] == "Pages":
			words = f[3:]
		case len(f) > 4 && f[0] == "Number":
			columns = f[4:]
		case len(f) > 6 && f[0] == "Node" && f[4] == "type":
			words = f[6:]
		case len(f) == 4+len(columns) && f[0] == "Node":
			words = f[4:]
		}
		var numbers []int64
		for _, word := range words {
			n, err := strconv.ParseUint(strings.TrimPrefix(word, ">"), 10, 40)
			if err != nil {
				return nil, fmt.Errorf("pagetypeinfo: %q is not a number", word)
			}
			numbers = append(numbers, int64(n))
		}
		switch {
		case len(numbers) == 0:
		case f[0] == "Pages":
			perBlock = min(numbers[0], 1<<20)
		case f[4] == "type":
			node, err := strconv.ParseUint(strings.TrimSuffix(f[1], ","), 10, 12)
			if err != nil {
				return nil, fmt.Errorf("pagetypeinfo: %q is not a zone", scan.Text())
			}
			types = append(types, PageType{Node: int(node), Zone: strings.TrimSuffix(f[3], ","), Type: f[5], Free: numbers})
		default:
			for i := range types {
				t := &types[i]
				if column := slices.Index(columns, t.Type); column >= 0 && f[1] == strconv.Itoa(t.Node)+"," && f[3] == t.Zone {
					t.Pages = numbers[column] * perBlock
				}
			}
		}
	}
	return types, scan.Err()
}
