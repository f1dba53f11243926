package hostprep

import (
	"errors"
	"fmt"
	"strings"

	"vmhuge/internal/pages"
)

// pageSizeCheck asks whether processor and kernel have pages of each size that
// is demanded.
var pageSizeCheck = Check{"page-size", func(h Host, g Guest) ([]Finding, error) {
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, total := range g.Demand.Totals() {
		size := total.PageSize
		if size == 0 {
			return nil, errors.New("the domain leaves the page size to libvirt, and it is not known")
		}
		if _, ok := state.Global(size); ok {
			continue
		}
		f := Finding{
			Severity: Blocker, Verdict: BadHost, Cause: PageSizeMissing,
			Have: "the kernel has no huge pages",
			Need: "pages of " + size.String(),
			Do:   "boot a kernel with CONFIG_HUGETLBFS",
		}
		if sizes := state.Sizes(); len(sizes) > 0 {
			f.Have = "the kernel has pages of " + joinSizes(sizes)
			f.Do = fmt.Sprintf("vmhuge enable --size %s", sizeWord(sizes[0]))
		}
		cpu, err := h.CPU()
		if err != nil {
			return nil, err
		}
		if cpu.Known && size == pages.Size1GiB && !cpu.PDPE1GB || cpu.Known && size == pages.Size2MiB && !cpu.PSE {
			f.Have += ", and the processor cannot map " + size.String()
		}
		findings = append(findings, f)
	}
	return findings, nil
}}

func joinSizes(sizes []pages.Size) string {
	var words []string
	for _, s := range sizes {
		words = append(words, s.String())
	}
	return strings.Join(words, ", ")
}

// sizeWord writes a size in short, as a user types it: 2M.
func sizeWord(size pages.Size) string {
	return strings.TrimSuffix(strings.ReplaceAll(size.String(), " ", ""), "iB")
}
