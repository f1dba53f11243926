package host

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// Zone is the free memory of one zone of a node: so many blocks of 1, 2, 4, …
// pages in one piece.
type Zone struct {
	Node   int
	Name   string
	Blocks []int64 // by order
}

// Buddyinfo reads /proc/buddyinfo.
func (h Host) Buddyinfo() ([]Zone, error) {
	text, err := h.Root.Read("proc", "buddyinfo")
	if err != nil {
		return nil, err
	}
	return parseBuddyinfo(strings.NewReader(text))
}

// parseBuddyinfo reads a line a zone, with the blocks of each order:
//
//	Node 0, zone    DMA32      1      2      4      2      5      4      3      3      4      2    752
//	Node 0, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
//
// Source: Documentation/filesystems/proc.rst of the kernel.
func parseBuddyinfo(r io.Reader) ([]Zone, error) {
	var zones []Zone
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		f := strings.Fields(scan.Text())
		if len(f) < 5 || f[0] != "Node" || f[2] != "zone" {
			return nil, fmt.Errorf("buddyinfo: %q is not a zone", scan.Text())
		}
		node, err := strconv.ParseUint(strings.TrimSuffix(f[1], ","), 10, 12)
		if err != nil {
			return nil, fmt.Errorf("buddyinfo: %q is not a node", f[1])
		}
		zone := Zone{Node: int(node), Name: f[3]}
		for _, word := range f[4:] {
			n, err := strconv.ParseUint(word, 10, 40)
			if err != nil {
				return nil, fmt.Errorf("buddyinfo: %q is not a number of blocks", word)
			}
			zone.Blocks = append(zone.Blocks, int64(n))
		}
		zones = append(zones, zone)
	}
	return zones, scan.Err()
}

// Blocks returns how many pages of a size the free memory of some nodes, nil:
// of all, has in one piece. base is the size of a small page.
func Blocks(zones []Zone, nodes []int, size, base pages.Size) int64 {
	order := bits.Len64(uint64(size/base)) - 1
	var n int64
	for _, zone := range zones {
		if nodes != nil && !slices.Contains(nodes, zone.Node) {
			continue
		}
		n += BlocksFrom(zone.Blocks, order)
	}
	return n
}

// BlocksFrom counts blocks of an order, as which each larger one counts twice as
// often.
func BlocksFrom(byOrder []int64, order int) int64 {
	var n int64
	for larger, count := range byOrder[min(order, len(byOrder)):] {
		n += count << min(larger, 20)
	}
	return n
}

// Gigantic says whether pages are larger than the blocks that the kernel keeps free, so
// that it can seldom allocate them once it has run for a while.
func (h Host) Gigantic(size pages.Size) (bool, error) {
	zones, err := h.Buddyinfo()
	if err != nil {
		return false, err
	}
	orders := 0
	for _, zone := range zones {
		orders = max(orders, len(zone.Blocks))
	}
	small, err := h.SmallPage()
	return size > small<<(orders-1), err
}
