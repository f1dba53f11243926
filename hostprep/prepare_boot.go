package hostprep

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/internal/pages"
)

// bootStep has the pages there after a reboot: the table of all of them, and what
// follows from it. Pages of the default size that may lie anywhere are sysctl's,
// gigantic ones the kernel command line's, which alone finds memory for them
// surely, and the unit looks after all that is asked of single nodes.
var bootStep = Step{"boot", func(h Host, p Preparation) ([]Finding, error) {
	if !p.Persist {
		return nil, nil
	}
	old, err := h.Boot()
	if err != nil {
		return nil, err
	}
	table := old.with(p)
	folders, err := h.userFolders(p)
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		table.Folders = append(slices.DeleteFunc(slices.Clone(table.Folders), func(f Folder) bool { return f.Path == folder.Path }), folder)
	}
	if p.ShmGroup != "" {
		if group, err := h.group(p.ShmGroup); err == nil { // else shmGroupStep tells
			table.ShmGroup = group.id
		}
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	if size := p.firstSize(); p.DefaultHugepagesz && size != 0 && size != mem.HugePageSize {
		table.DefaultSize = size
	}
	systemd := h.bootedWithSystemd()
	var settings []string
	var cmdline []bootPages
	for _, row := range table.sums() {
		onSysctl := row.Size == mem.HugePageSize && row.Nodes == nil && table.DefaultSize == 0
		gigantic, err := h.gigantic(row.Size)
		switch {
		case err != nil:
			return nil, err
		case onSysctl:
			line, err := h.sysctlPages(row.Pages, table.Overcommit)
			if err != nil {
				return nil, err
			}
			settings = append(settings, line)
		case gigantic || !systemd || row.Size == table.DefaultSize:
			cmdline = append(cmdline, row.onCmdline())
		}
	}
	if table.ShmGroup != 0 {
		settings = append(settings, fmt.Sprintf("vm.hugetlb_shm_group = %d", table.ShmGroup))
	}
	var changes []Change
	add := func(more []Change, err error) error {
		for _, c := range more {
			if !slices.Contains(changes, c) { // a folder that two files need
				changes = append(changes, c)
			}
		}
		return err
	}
	if err := add(h.filePlan(bootFile, table.text())); err != nil {
		return nil, err
	}
	if err := add(h.filePlan(sysctlFile, sysctlText(settings))); err != nil {
		return nil, err
	}
	var findings []Finding
	if program, refusal, err := h.bootProgram(); err != nil {
		return nil, err
	} else if systemd && refusal != nil && table.text() != "" {
		findings = append(findings, *refusal)
	} else if systemd {
		if err := add(h.servicePlan(table, program)); err != nil {
			return nil, err
		}
	}
	if len(changes) > 0 {
		findings = append(findings, Finding{Severity: Blocker, Verdict: BadHost, Fixable: true, Changes: changes,
			Have: "after a reboot the host has " + old.words(), Need: table.words()})
	}
	more, err := h.kernelCmdlinePlan(cmdline, table.DefaultSize)
	if err != nil {
		return findings, err
	}
	booted, err := h.cmdlinePages()
	return slices.Concat(findings, more, booted), err
}}

// firstSize is the size of the pages that a preparation is about; 0: of none.
func (p Preparation) firstSize() pages.Size {
	if len(p.Pages) > 0 {
		return p.Pages[0].Size
	}
	for _, g := range p.guests() {
		if takes := takesOf(g.Demand); len(takes) > 0 {
			return takes[0].Size
		}
	}
	return 0
}

// sysctlPages is the setting that reserves so many pages of the default size, or
// lets the kernel make as many. What another file asks for is on top of it.
func (h Host) sysctlPages(n int64, overcommit bool) (string, error) {
	name := "vm.nr_hugepages"
	if overcommit {
		name = "vm.nr_overcommit_hugepages"
	}
	others, err := h.bootHugepages(name)
	return fmt.Sprintf("%s = %d", name, others+n), err
}

// onCmdline is a row as the kernel's command line has it. It can't say "one of
// these nodes": then any may give the pages.
func (p BootPages) onCmdline() bootPages {
	b := bootPages{Size: p.Size, Pages: p.Pages, Node: -1}
	if len(p.Nodes) == 1 {
		b.Node = p.Nodes[0]
	}
	return b
}

// servicePlan has the unit there while the table has something for it.
func (h Host) servicePlan(table Boot, program string) ([]Change, error) {
	if table.text() == "" {
		file, err := h.filePlan(serviceFile, "")
		if err != nil {
			return nil, err
		}
		link, err := h.linkPlan(serviceLink, "")
		return append(link, file...), err
	}
	file, err := h.filePlan(serviceFile, serviceText(program))
	if err != nil {
		return nil, err
	}
	link, err := h.linkPlan(serviceLink, "../vmhuge.service")
	return append(file, link...), err
}

// gigantic says whether pages are larger than what the kernel keeps together, so
// that they are seldom to be had once it runs.
func (h Host) gigantic(size pages.Size) (bool, error) {
	zones, err := h.Buddyinfo()
	if err != nil {
		return false, err
	}
	orders := 0
	for _, zone := range zones {
		orders = max(orders, len(zone.Blocks))
	}
	small, err := h.smallPage()
	return size > small<<(orders-1), err
}

// words is the table in one line.
func (b Boot) words() string {
	var words []string
	for _, row := range b.Pages {
		words = append(words, row.words())
	}
	if b.DefaultSize != 0 {
		words = append(words, b.DefaultSize.String()+" as the default size")
	}
	if b.ShmGroup != 0 {
		words = append(words, fmt.Sprintf("hugetlb_shm_group %d", b.ShmGroup))
	}
	for _, folder := range b.Folders {
		words = append(words, "the folder "+folder.Path)
	}
	if len(words) == 0 {
		return "no pages of its own accord"
	}
	return strings.Join(words, ", ")
}

func (p BootPages) words() string {
	text := count(p.Pages, p.Size)
	if p.Nodes != nil {
		text += " on node " + pages.FormatNodes(p.Nodes)
	}
	if p.Name != "" {
		text += " for " + p.Name
	}
	return text
}
