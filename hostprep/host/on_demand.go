package host

import (
	"strings"

	"vmhuge/internal/pages"
)

// OnDemand is how many pages of 1 GiB the kernel can allocate now on each node in the areas
// that it keeps for them (hugetlb_cma=). These are made of whole GiB, and each is in one
// zone. Whatever in them is not free can move, as long as nothing pins it, and with k GiB of
// an area free, k of its GiB can be emptied into the rest.
//
// Source: mm/hugetlb_cma.c and alloc_contig_range() of the kernel.
func (h Host) OnDemand() (byNode map[int]int64, err error) {
	areas, err := h.Areas()
	if err != nil || areas == nil {
		return nil, err
	}
	zones, err := h.Zoneinfo()
	if err != nil {
		return nil, err
	}
	small, err := h.SmallPage()
	byNode = map[int]int64{}
	for _, z := range zones {
		byNode[z.Node] += z.FreeCMA * int64(small) / pages.GiB
	}
	return byNode, err
}

// Areas is the memory of such areas, with those that the kernel keeps for other uses (cma=);
// nil: it was asked for none (hugetlb_cma=), or could not set them apart.
func (h Host) Areas() (*CMA, error) {
	line, err := h.ReadIfThere("/proc/cmdline")
	if err != nil || !strings.Contains(line, "hugetlb_cma=") {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil || mem.CMA == nil || mem.CMA.TotalKiB == 0 {
		return nil, err
	}
	return mem.CMA, nil
}

// Movable is the zone of what can move: where nothing else may be, as kernelcore= and
// movablecore= have it.
const Movable = "Movable"

// MovesGigantic says whether the kernel takes pages of 1 GiB from the zone Movable: only
// where vm.movable_gigantic_pages is set, and else never (hugepage_movable_supported() in
// include/linux/hugetlb.h). ok: there is that setting.
func (h Host) MovesGigantic() (does, ok bool, err error) {
	text, err := h.ReadIfThere("/proc/sys/vm/movable_gigantic_pages")
	return strings.TrimSpace(text) == "1", text != "", err
}
