package boot

import (
	"fmt"
	"slices"

	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
)

// Gigantic is the size of the pages that areas are made of (hugetlb_cma=): the smallest that
// is beyond the blocks that the kernel keeps free; 0: it has none.
//
// Source: arch_hugetlb_cma_order() of the kernel's architectures.
func (k Kernel) Gigantic() pages.Size {
	i := slices.IndexFunc(k.Sizes, func(size pages.Size) bool { return size >= pages.Size1GiB })
	if i < 0 {
		return 0
	}
	return k.Sizes[i]
}

func (k Kernel) isGigantic(size pages.Size) bool { return k.Gigantic() > 0 && size >= k.Gigantic() }

// onNodes are counts by node, of which a kernel before 5.16 reads the first number.
var onNodes = lazyregexp.New(`\b(hugepages=[0-9]+):[0-9:,]*`)

// Asks is what a command line asks for, with the areas as the kernel makes them: none
// that is smaller than a page, on a node or in all, and of others whole pages. (Kernels of
// 2026 refuse what is no multiple.)
//
// Source: hugetlb_cma_reserve() in the kernel's mm/hugetlb_cma.c.
func (k Kernel) Asks(line string) Request {
	if k.Before(5, 16) { // it knows no nodes
		line = onNodes.Get().ReplaceAllString(line, "$1")
	}
	r := ParseCmdline(line, k.Standard, func(size pages.Size) bool { return slices.Contains(k.Sizes, size) }, k.Online)
	size := k.Gigantic()
	for node, bytes := range r.Areas {
		if size == 0 || bytes < int64(size) {
			delete(r.Areas, node)
			continue
		}
		r.Areas[node] = size.Ceil(bytes) * int64(size)
	}
	return r
}

// Skips says whether the kernel passes over gigantic pages at boot because of an area. Since
// 6.15 hugetlb_cma_only= has it take them from the area.
//
// Source: hugetlb_hstate_alloc_pages() in the kernel's mm/hugetlb.c.
func (k Kernel) Skips(r Request) bool {
	return k.CMA && !k.noArea && r.Area() > 0 && (!r.FromArea || !k.Since(6, 15))
}

// HasArea says that the kernel has set apart the area for which its command line asks.
func (k Kernel) HasArea() bool { return k.CMA && !k.noArea && k.Asks(k.Cmdline).Area() > 0 }

// AreaFor is the option that has the kernel set apart, on each node with memory, an area of at
// least so many bytes; "": those that it has set apart are as large.
//
// Source of how it divides one value among the nodes: hugetlb_cma_reserve().
func (k Kernel) AreaFor(bytes map[int]int64) string {
	asked := k.Asks(k.Cmdline).Areas
	areas, larger := map[int]int64{}, false
	for _, node := range k.memory {
		has := asked[node]
		if all, spread := asked[-1]; spread && len(asked) == 1 {
			has = all / int64(len(k.memory))
		}
		larger = larger || bytes[node] > has
		if gib := max(has, bytes[node]) / pages.GiB; gib > 0 {
			areas[node] = gib
		}
	}
	if !larger {
		return ""
	}
	if len(k.memory) == 1 {
		areas = map[int]int64{-1: areas[k.memory[0]]}
	}
	return "hugetlb_cma=" + byNode(areas, nil, "G")
}

// Since says whether the kernel that runs is known to be of a version or later, and Before
// whether it is known to be older.
func (k Kernel) Since(major, minor int) bool {
	is, sub, ok := k.version()
	return ok && (is > major || is == major && sub >= minor)
}

func (k Kernel) Before(major, minor int) bool {
	_, _, ok := k.version()
	return ok && !k.Since(major, minor)
}

func (k Kernel) version() (major, minor int, ok bool) {
	_, err := fmt.Sscanf(k.Release, "%d.%d", &major, &minor)
	return major, minor, err == nil
}

// beside says what of ours the kernel would skip for an area, or of what is there for ours;
// have is "" where it takes both.
func (k Kernel) beside(old, ours string) (have, need, do string) {
	was, wanted := k.Asks(old), k.Asks(ours)
	both := k.Asks(old + " " + ours)
	for _, size := range k.Sizes {
		switch {
		case !k.isGigantic(size) || !k.Skips(both):
		case len(wanted.Areas) > 0 && was.Of(size) > 0:
			return " asks for " + pages.Count(was.Of(size), size) + " at boot", ours + " without pages of that size: with an area for pages on demand the kernel skips them at boot",
				"take them out there: the area gives them when a guest needs them"
		case len(was.Areas) > 0 && wanted.Of(size) > 0:
			return " has " + hugeWords(old), ours + " without it: with an area for pages on demand the kernel skips pages of " + size.String() + " at boot",
				"take it out there; or let guests take the pages from it, without --persist"
		}
	}
	if len(wanted.Areas) > 0 && len(was.Areas) > 0 {
		return " has " + hugeWords(old), "hugetlb_cma= in one place", "take it out there, and ask for the sum with --on-demand"
	}
	return "", "", ""
}
