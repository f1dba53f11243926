package host

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// ZoneLimits is what the kernel keeps of a zone, and where it lies, in small
// pages.
type ZoneLimits struct {
	Node int
	Name string
	// Kept is how much stays free whoever asks: what kswapd wakes up for, and what
	// is for those who can't use higher zones.
	Kept           int64
	Free           int64
	FreeCMA        int64 // of Free, in areas for contiguous memory
	Start, Spanned int64 // of the zone; it may have holes
	Present        int64 // without the holes
}

// Zoneinfo reads /proc/zoneinfo.
func (h Host) Zoneinfo() ([]ZoneLimits, error) { return Once(h, cacheKey("zoneinfo"), h.zoneinfo) }

func (h Host) zoneinfo() ([]ZoneLimits, error) {
	text, err := h.Root.Read("proc", "zoneinfo")
	if err != nil {
		return nil, err
	}
	return parseZoneinfo(strings.NewReader(text))
}

// parseZoneinfo reads of each zone the lines that are shown here:
//
//	Node 0, zone    DMA32
//	  pages free     765504
//	        high     3366
//	        spanned  1044480
//	        present  782336
//	        protection: (0, 0, 21153, 21153, 21153)
//	      nr_free_cma  0
//	  start_pfn:           4096
//
// Source: zoneinfo_show_print() in the kernel's mm/vmstat.c.
func parseZoneinfo(r io.Reader) ([]ZoneLimits, error) {
	var zones []ZoneLimits
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		f := strings.Fields(scan.Text())
		if len(f) == 4 && f[0] == "Node" && f[2] == "zone" {
			node, err := strconv.ParseUint(strings.TrimSuffix(f[1], ","), 10, 12)
			if err != nil {
				return nil, fmt.Errorf("zoneinfo: %q is not a zone", scan.Text())
			}
			zones = append(zones, ZoneLimits{Node: int(node), Name: f[3]})
			continue
		}
		if len(zones) == 0 || len(f) < 2 {
			continue
		}
		zone := &zones[len(zones)-1]
		var err error
		switch number := f[len(f)-1]; {
		case f[0] == "pages" && f[1] == "free" && len(f) == 3:
			zone.Free, err = smallPages(number)
		case f[0] == "nr_free_cma" && len(f) == 2:
			zone.FreeCMA, err = smallPages(number)
		case f[0] == "high" && len(f) == 2:
			zone.Kept, err = smallPages(number)
		case f[0] == "spanned" && len(f) == 2:
			zone.Spanned, err = smallPages(number)
		case f[0] == "present" && len(f) == 2:
			zone.Present, err = smallPages(number)
		case f[0] == "start_pfn:" && len(f) == 2:
			zone.Start, err = smallPages(number)
		case f[0] == "protection:": // from each higher zone; the last is the largest
			var n int64
			n, err = smallPages(strings.Trim(number, "()"))
			zone.Kept += n
		}
		if err != nil {
			return nil, fmt.Errorf("zoneinfo: %q is not a number of pages", scan.Text())
		}
	}
	return zones, scan.Err()
}

func smallPages(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 50)
	return int64(n), err
}

// Ranges is how many pages of a size a zone could hold, were it empty. One lies
// where its size aligns it, and in one zone.
func (l ZoneLimits) Ranges(size, small pages.Size) int64 {
	per := int64(size / small)
	return max(0, (l.Start+l.Spanned)/per-(l.Start+per-1)/per)
}
