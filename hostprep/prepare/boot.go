package prepare

import (
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// bootStep keeps what was asked for over a reboot, beside what was kept before.
var bootStep = Step{"boot", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	if !p.Persist {
		return nil, nil
	}
	table, err := boot.Read(h)
	if err != nil {
		return nil, err
	}
	table = p.onTable(table)
	folders, err := userFolders(h, p)
	if err != nil {
		return nil, err
	}
	table = table.WithFolders(folders)
	if p.ShmGroup != "" {
		if group, err := h.Group(p.ShmGroup); err == nil { // else shmGroupStep tells
			table.ShmGroup = group.Id
		}
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	if size := p.firstSize(); p.DefaultHugepagesz && size != 0 && size != mem.HugePageSize {
		table.DefaultSize = size
	}
	findings, err := boot.Plan(h, table)
	if err != nil {
		return findings, err
	}
	booted, err := check.KernelCmdline(h)
	return slices.Concat(findings, booted), err
}}

// onTable returns a table with what is to be kept over a reboot.
func (p Options) onTable(table boot.Table) boot.Table {
	if p.For != "" {
		table = table.With(p.guests(), nil, p.Overcommit).WithReserved(p.For, p.Pages)
	} else {
		table = table.With(p.guests(), p.Pages, p.Overcommit)
	}
	if p.OnDemand != nil {
		table.OnDemand = p.OnDemand
	}
	if p.FreeStructs != nil {
		table.FreeStructs = *p.FreeStructs
	}
	return table
}

// firstSize is the size of the pages that a preparation is about; 0: of none.
func (p Options) firstSize() pages.Size {
	if len(p.Pages) > 0 {
		return p.Pages[0].Size
	}
	for _, g := range p.guests() {
		if takes := hostprep.TakesOf(g.Demand); len(takes) > 0 {
			return takes[0].Size
		}
	}
	return 0
}
