package prepare

import (
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// manyStructs is from how many bytes of page structs on it is said that they could be freed.
const manyStructs = 256 * pages.MiB

// structsStep says what the kernel could free beside pages that stay reserved, and what it
// can't. A page that comes and goes has its page structs allocated anew each time, and
// stays where there is no memory for them.
var structsStep = Step{"page-structs", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	does, can, err := h.FreesStructs()
	if err != nil || !p.Persist {
		return nil, err
	}
	table, err := boot.Read(h)
	if err != nil {
		return nil, err
	}
	table = p.onTable(table)
	if table.FreeStructs && !can {
		return []hostprep.Finding{{Severity: hostprep.Warning, Have: "the kernel is built without CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP, or its page structs are of another size",
			Need: "a kernel that can free the page structs of huge pages", Do: "vmhuge prepare --persist --free-vmemmap=false, or boot one that can (Linux 5.14 or later)"}}, nil
	}
	small, err := h.SmallPage()
	if err != nil || does || !can || table.FreeStructs || table.Overcommit {
		return nil, err
	}
	var all, freed int64
	for _, row := range table.Sums(nil) {
		all += row.Pages * int64(row.Size)
		freed += row.Pages * row.Size.Structs(small)
	}
	if freed < manyStructs {
		return nil, nil
	}
	return []hostprep.Finding{{Severity: hostprep.Note, Have: fmt.Sprintf("the kernel keeps page structs for the %s that are reserved at boot: it could free %s of them", pages.FormatBytes(all), pages.Amount(freed)),
		Need: "hugetlb_free_vmemmap=on, if these pages stay reserved", Do: "vmhuge prepare --persist --free-vmemmap, and reboot"}}, nil
}}
