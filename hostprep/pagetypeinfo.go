package hostprep

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// PageType is what a zone has free in the pageblocks of one type: the kernel
// keeps together what it can move, and apart what it can't.
type PageType struct {
	Node   int
	Zone   string
	Type   string  // Movable, Unmovable, Reclaimable, HighAtomic, CMA, Isolate
	Blocks []int64 // by order
	Total  int64
}

// PageTypes reads /proc/pagetypeinfo, which is root's to read.
func (h Host) PageTypes() ([]PageType, error) {
	text, err := h.Root.Read("proc", "pagetypeinfo")
	if err != nil {
		return nil, err
	}
	return parsePagetypeinfo(strings.NewReader(text))
}

// parsePagetypeinfo reads the first of its tables. Where the kernel has no mind
// to count on, it writes >100000:
//
//	Free pages count per migrate type at order       0      1      2 …
//	Node    0, zone   Normal, type    Unmovable     33    280 >100000 …
//
// Source: pagetypeinfo_showfree_print() in the kernel's mm/vmstat.c.
func parsePagetypeinfo(r io.Reader) ([]PageType, error) {
	var types []PageType
	var names []string
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		f := strings.Fields(scan.Text())
		if len(f) > 4 && f[0] == "Number" {
			names = f[4:]
		}
		if len(f) > 4 && f[0] == "Node" && f[4] != "type" {
			for i := range names {
				for j := range types {
					if strconv.Itoa(types[j].Node)+"," == f[1] && types[j].Zone == f[3] && types[j].Type == names[i] {
						types[j].Total, _ = smallPages(f[4+i])
					}
				}
			}
		}
		if len(f) < 6 || f[0] != "Node" || f[4] != "type" {
			continue
		}
		node, err := strconv.ParseUint(strings.TrimSuffix(f[1], ","), 10, 12)
		if err != nil {
			return nil, fmt.Errorf("pagetypeinfo: %q is no zone", scan.Text())
		}
		t := PageType{Node: int(node), Zone: strings.TrimSuffix(f[3], ","), Type: f[5]}
		for _, word := range f[6:] {
			n, err := strconv.ParseUint(strings.TrimPrefix(word, ">"), 10, 40)
			if err != nil {
				return nil, fmt.Errorf("pagetypeinfo: %q is no number of blocks", word)
			}
			t.Blocks = append(t.Blocks, int64(n))
		}
		types = append(types, t)
	}
	return types, scan.Err()
}
