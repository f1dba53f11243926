package hostprep

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
	Node   int
	Zone   string
	Type   string  // Movable, Unmovable, Reclaimable, HighAtomic, CMA, Isolate
	Free   []int64 // free blocks by order
	Blocks int64   // pageblocks of this type
}

// PageTypes reads /proc/pagetypeinfo, which is root's to read, and how many
// small pages a pageblock has.
func (h Host) PageTypes() (types []PageType, perBlock int64, err error) {
	text, err := h.Root.Read("proc", "pagetypeinfo")
	if err != nil {
		return nil, 0, err
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
func parsePagetypeinfo(r io.Reader) (types []PageType, perBlock int64, err error) {
	var names []string // of the second table's columns
	number := func(text string) int64 {
		n, nerr := smallPages(strings.TrimPrefix(text, ">"))
		if nerr != nil && err == nil {
			err = fmt.Errorf("pagetypeinfo: %q is no number", text)
		}
		return n
	}
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		f := strings.Fields(scan.Text())
		switch {
		case len(f) == 4 && f[0] == "Pages":
			perBlock = number(f[3])
		case len(f) > 4 && f[0] == "Number":
			names = f[4:]
		case len(f) < 5 || f[0] != "Node":
		case f[4] == "type" && len(f) > 6:
			node, nerr := strconv.ParseUint(strings.TrimSuffix(f[1], ","), 10, 12)
			if nerr != nil {
				return nil, 0, fmt.Errorf("pagetypeinfo: %q is no zone", scan.Text())
			}
			t := PageType{Node: int(node), Zone: strings.TrimSuffix(f[3], ","), Type: f[5]}
			for _, n := range f[6:] {
				t.Free = append(t.Free, number(n))
			}
			types = append(types, t)
		default:
			for i, n := range f[4:min(len(f), 4+len(names))] {
				at := slices.IndexFunc(types, func(t PageType) bool {
					return strconv.Itoa(t.Node)+"," == f[1] && t.Zone == f[3] && t.Type == names[i]
				})
				if at >= 0 {
					types[at].Blocks = number(n)
				}
			}
		}
	}
	if err == nil {
		err = scan.Err()
	}
	return types, perBlock, err
}
