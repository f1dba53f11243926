package slips

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
)

var bareNumber = lazyregexp.New(`^[0-9]+$`)

// wrongArea is about the value of hugetlb_cma=, which is to be whole gigantic pages: an area
// that is smaller than one the kernel leaves out, and of others some kernels round the size
// up, and some refuse it. A share of memory, 25%, only the newest read.
//
// Source: hugetlb_cma_reserve() in the kernel's mm/hugetlb_cma.c.
func (k kernel) wrongArea(word, value string) (Slip, bool) {
	size := k.Gigantic()
	if value == "0" || strings.Contains(value, "%") || !k.CMA { // without CMA it is told beside the pools
		return Slip{}, false
	}
	if size == 0 {
		if len(k.Sizes) == 0 {
			return Slip{}, false
		}
		return Slip{Word: word, Why: "is for pages of 1 GiB, which this host does not have, so that the kernel ignores it", Right: "hugepages=N, for pages of " + k.DefaultSize().String()}, true
	}
	var rights, whys []string
	works := true
	for _, part := range strings.Split(strings.TrimSuffix(value, ","), ",") {
		node, amount, named := strings.Cut(part, ":")
		on, there := "", ""
		if !named {
			node, amount = "", part
		} else {
			on, there = " on node "+node, " there"
			node += ":"
		}
		id, err := strconv.Atoi(strings.TrimSuffix(node, ":"))
		bytes := pages.Memparse(amount)
		n := max(size.Ceil(int64(bytes)), 1)
		if meant, err := strconv.ParseInt(amount, 10, 32); err == nil && bareNumber.Get().MatchString(amount) && meant > 0 && meant <= 4096 {
			n = size.Ceil(meant * pages.GiB)
		}
		switch {
		case named && (err != nil || !k.Online(id)):
			whys, works = append(whys, "names node "+strings.TrimSuffix(node, ":")+", which this host does not have"), false
			continue
		case amount == "0":
			n = 0
		case bytes < size:
			why := fmt.Sprintf("is less than a page of %s%s, so that the kernel sets nothing aside%s", size, on, there)
			if bareNumber.Get().MatchString(amount) {
				why += ": a number without K, M or G counts bytes"
			}
			whys, works = append(whys, why), false
		case bytes%size != 0:
			whys = append(whys, fmt.Sprintf("is not a multiple of %s%s, which some kernels round up and others refuse", size, on))
		}
		rights = append(rights, node+pages.SizeWord(pages.Size(n)*size))
	}
	if len(whys) == 0 {
		return Slip{}, false
	}
	right := "hugetlb_cma=" + strings.Join(rights, ",")
	if len(rights) == 0 {
		right = ""
	}
	return Slip{Word: word, Why: strings.Join(slices.Compact(whys), ", and "), Right: right, Works: works && k.HasArea()}, true
}
