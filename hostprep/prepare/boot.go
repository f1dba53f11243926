package prepare

import (
	"fmt"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// bootStep has the pages there after a reboot: the table of all of them, and what
// follows from it. Pages of the default size that may lie anywhere are sysctl's,
// gigantic ones the kernel command line's, which alone finds memory for them
// surely, and the unit looks after all that is asked of single nodes.
var bootStep = Step{"boot", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	if !p.Persist {
		return nil, nil
	}
	old, err := boot.Read(h)
	if err != nil {
		return nil, err
	}
	table := withOptions(old, p)
	folders, err := userFolders(h, p)
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		table.Folders = append(slices.DeleteFunc(slices.Clone(table.Folders), func(f boot.Folder) bool { return f.Path == folder.Path }), folder)
	}
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
	systemd := h.BootedWithSystemd()
	var settings []string
	var cmdline []boot.PoolPages
	for _, row := range table.Sums() {
		onSysctl := row.Size == mem.HugePageSize && row.Nodes == nil && table.DefaultSize == 0
		gigantic, err := boot.Gigantic(h, row.Size)
		switch {
		case err != nil:
			return nil, err
		case onSysctl:
			line, err := boot.SysctlPages(h, row.Pages, table.Overcommit)
			if err != nil {
				return nil, err
			}
			settings = append(settings, line)
		case gigantic || !systemd || row.Size == table.DefaultSize:
			cmdline = append(cmdline, row.OnCmdline())
		}
	}
	if table.ShmGroup != 0 {
		settings = append(settings, fmt.Sprintf("vm.hugetlb_shm_group = %d", table.ShmGroup))
	}
	var changes []change.Change
	add := func(more []change.Change, err error) error {
		for _, c := range more {
			if !slices.Contains(changes, c) { // a folder that two files need
				changes = append(changes, c)
			}
		}
		return err
	}
	if err := add(change.FilePlan(h, boot.TableFile, table.Text())); err != nil {
		return nil, err
	}
	if err := add(change.FilePlan(h, boot.SysctlFile, boot.SysctlText(settings))); err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	if program, refusal, err := boot.Program(h); err != nil {
		return nil, err
	} else if systemd && refusal != nil && table.Text() != "" {
		findings = append(findings, *refusal)
	} else if systemd {
		if err := add(boot.ServicePlan(h, table, program)); err != nil {
			return nil, err
		}
	}
	if len(changes) > 0 {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Fixable: true, Changes: changes,
			Have: "after a reboot the host has " + old.Words(), Need: table.Words()})
	}
	more, err := boot.CmdlinePlan(h, cmdline, table.DefaultSize)
	if err != nil {
		return findings, err
	}
	booted, err := check.KernelCmdline(h)
	return slices.Concat(findings, more, booted), err
}}

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

// withOptions returns the table with what a preparation asks for. What it had for the
// same guests, and for no one on the same nodes, is replaced.
func withOptions(b boot.Table, p Options) boot.Table {
	replace := func(old func(boot.Row) bool, rows ...boot.Row) {
		b.Pages = append(slices.DeleteFunc(slices.Clone(b.Pages), old), rows...)
	}
	for _, g := range p.guests() {
		var rows []boot.Row
		for _, take := range hostprep.TakesOf(g.Demand) {
			row := boot.Row{UUID: g.Demand.UUID, Name: g.Demand.Domain, Nodes: take.Nodes, Size: take.Size, Pages: take.Pages}
			if i := slices.IndexFunc(rows, row.At); i >= 0 {
				rows[i].Pages += take.Pages
			} else {
				rows = append(rows, row)
			}
		}
		replace(func(old boot.Row) bool { return old.UUID == g.Demand.UUID }, rows...)
	}
	for _, need := range p.Pages {
		row := boot.Row{Nodes: need.Nodes, Size: need.Size, Pages: need.Pages}
		if need.Pages > 0 {
			replace(func(old boot.Row) bool { return old.UUID == "" && row.At(old) }, row)
		} else {
			replace(func(old boot.Row) bool { return old.UUID == "" && row.At(old) })
		}
	}
	if len(p.guests())+len(p.Pages) > 0 {
		b.Overcommit = p.Overcommit
	}
	return b
}
