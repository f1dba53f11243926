package check

import (
	"errors"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// PageSize asks whether processor and kernel have pages of each size that
// is demanded.
var PageSize = Check{"page-size", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, total := range g.Demand.Totals() {
		size := total.PageSize
		if size == 0 {
			return nil, errors.New("the domain names no page size, and libvirt's default is not known")
		}
		if _, ok := state.Global(size); ok {
			continue
		}
		f := hostprep.Finding{
			Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.PageSizeMissing,
			Have: "the kernel has no huge pages",
			Need: "pages of " + size.String(),
			Do:   "boot a kernel with CONFIG_HUGETLBFS",
		}
		if sizes := state.Sizes(); len(sizes) > 0 {
			f.Have = "the kernel has pages of " + pages.JoinSizes(sizes)
			f.Do = enable(g, pages.Usual(h.Arch(), sizes))
		}
		cpu, err := h.CPU()
		if err != nil {
			return nil, err
		}
		if cpu.Known && size == pages.Size1GiB && !cpu.PDPE1GB || cpu.Known && size == pages.Size2MiB && !cpu.PSE {
			f.Have += ", and the processor does not support " + size.String()
		}
		if size == pages.Size1GiB && cpu.PDPE1GB {
			f.Do += ", or boot with hugepagesz=1G, as the processor supports them"
		}
		findings = append(findings, f)
	}
	return findings, nil
}}
