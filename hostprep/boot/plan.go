package boot

import (
	"fmt"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// Plan says what makes a table the one that the host has from boot on: its file, and the
// files that follow from it. sysctl gets the pages of the default size that may be on any
// node, unless the next boot has another default; the kernel's command line the gigantic
// ones, for which a running kernel seldom finds memory; the service looks after the pages of
// single nodes and all the rest.
func Plan(h host.Host, table Table) ([]hostprep.Finding, error) {
	old, err := Read(h)
	if err != nil {
		return nil, err
	}
	if refused, err := table.refuseDefault(h); err != nil {
		return nil, err
	} else if refused != nil {
		return []hostprep.Finding{*refused}, nil
	}
	settings, onCmdline, err := table.split(h)
	if err != nil {
		return nil, err
	}
	if nixOS, err := h.NixOS(); err != nil {
		return nil, err
	} else if nixOS {
		more, err := cmdlinePlan(h, options{onCmdline, table.OnDemand, table.DefaultSize, table.FreeStructs})
		return append(planOnNixOS(old, table, settings), more...), err
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
	if err := add(change.FilePlan(h, TableFile, table.Text())); err != nil {
		return nil, err
	}
	if err := add(change.FilePlan(h, SysctlFile, sysctlText(settings))); err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	if h.BootedWithSystemd() {
		switch program, refusal, err := findProgram(h); {
		case err != nil:
			return nil, err
		case refusal != nil && table.Text() != "":
			findings = append(findings, *refusal)
		default:
			if err := add(servicePlan(h, table, program)); err != nil {
				return nil, err
			}
		}
	}
	if len(changes) > 0 {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Fixable: true, Changes: changes,
			Have: "after a reboot the host has " + old.Words(), Need: table.Words()})
	}
	more, err := cmdlinePlan(h, options{onCmdline, table.OnDemand, table.DefaultSize, table.FreeStructs})
	return append(findings, more...), err
}

// split says what of a table is for sysctl, and what for the kernel's command line.
func (b Table) split(h host.Host) (settings []string, cmdline []PoolPages, err error) {
	mem, err := h.Meminfo()
	if err != nil {
		return nil, nil, err
	}
	var others map[pages.Size]int64
	if !b.Overcommit { // of pages on demand there is no least number
		if others, err = OthersAtBoot(h); err != nil {
			return nil, nil, err
		}
	}
	kernel, err := ReadKernel(h)
	if err != nil {
		return nil, nil, err
	}
	next, err := NextDefault(h)
	if err != nil {
		return nil, nil, err
	}
	stays := b.DefaultSize == 0 && next == nil
	nixOS, err := h.NixOS()
	if err != nil {
		return nil, nil, err
	}
	service := h.BootedWithSystemd() && !nixOS
	area := len(b.OnDemand) > 0 || kernel.Skips(kernel.Asks(withoutOurs(kernel.Cmdline)))
	for _, row := range b.Sums(others) {
		if row.Size == mem.HugePageSize && row.Nodes == nil && stays {
			line, err := sysctlPages(h, row.Pages, b.Overcommit)
			if err != nil {
				return nil, nil, err
			}
			settings = append(settings, line)
			continue
		}
		gigantic, err := h.Gigantic(row.Size)
		if err != nil {
			return nil, nil, err
		}
		// Beside an area the kernel skips gigantic pages at boot: the service has the area
		// give them.
		if gigantic && !area || !service || row.Size == b.DefaultSize {
			cmdline = append(cmdline, row.onCmdline())
		}
	}
	if b.ShmGroup != 0 {
		settings = append(settings, fmt.Sprintf("vm.hugetlb_shm_group = %d", b.ShmGroup))
	}
	return settings, cmdline, nil
}
