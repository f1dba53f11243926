package prepare

import (
	"fmt"
	"path"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// notesStep reports settings of this host that work against huge pages, with numbers. It
// changes none of them: other programs may need them.
var notesStep = Step{"notes", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	note := func(have, need, do string) {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Note, Have: have, Need: need, Do: do})
	}
	bound, err := p.onNodesWithoutCPUs(h, state)
	if err != nil {
		return findings, err
	}
	findings = append(findings, bound...)
	taken, err := p.takenNotes(h, state)
	if err != nil {
		return findings, err
	}
	findings = append(findings, taken...)
	swap, err := h.Swap()
	if err != nil {
		return findings, err
	}
	if free := freeBytes(state); swap.Used > 0 && free > 0 {
		note(fmt.Sprintf("%s is swapped out while %s of huge pages is free, which no other memory can use", pages.Amount(swap.Used), pages.Amount(free)),
			"no more free pages than guests will take", "vmhuge status shows the pools; vmhuge undo frees what prepare added")
	}
	ksm, err := h.KSM()
	if err != nil {
		return findings, err
	}
	if ksm.Run {
		small, err := h.SmallPage()
		if err != nil {
			return findings, err
		}
		note(fmt.Sprintf("KSM is on and saves %s (pages_sharing %d): it can't merge reserved huge pages, and splits transparent ones", pages.Amount(ksm.Sharing*int64(small)), ksm.Sharing),
			"KSM only if guests on small pages gain from it", "echo 0 > /sys/kernel/mm/ksm/run, if none does")
	}
	thp, err := h.THP()
	if err != nil {
		return findings, err
	}
	var lacks int64
	all, err := p.lacks(h, state)
	if err != nil {
		return findings, err
	}
	for _, l := range all {
		lacks += l.Pages * int64(l.Size)
	}
	if thp.Enabled == "always" && lacks > 0 {
		text, err := h.Root.Read("proc", "meminfo")
		if err != nil {
			return findings, err
		}
		kib, err := host.ParseMeminfo(strings.NewReader(text))
		if err != nil {
			return findings, err
		}
		if taken := kib["AnonHugePages"] * pages.KiB; taken > 0 {
			note(fmt.Sprintf("all programs get transparent huge pages (enabled is always), which hold %s: the pools lack %s, and compete with these for free blocks", pages.Amount(taken), pages.Amount(lacks)),
				"transparent huge pages only for programs that ask for them", "echo madvise > /sys/kernel/mm/transparent_hugepage/"+path.Join(h.THPFile("enabled")...)+"; QEMU asks")
		}
	}
	for _, g := range p.Guests {
		if given := g.Traits.MemoryKiB - g.Traits.CurrentKiB; g.Demand.Backing == pages.Hugetlb && g.Traits.Balloon && g.Traits.CurrentKiB > 0 && given > 0 {
			note(fmt.Sprintf("the balloon of %s should return %s, but a balloon returns none of a guest's reserved pages", g.Demand.Domain, pages.Amount(given*pages.KiB)),
				"<currentMemory> as large as <memory>", "lower <memory> of "+g.Demand.Domain+" to what it should have")
		}
	}
	return findings, nil
}}

// onNodesWithoutCPUs is about pages of nodes on which QEMU may be unable to preallocate them. A
// program that they are reserved for may have its reasons.
func (p Options) onNodesWithoutCPUs(h host.Host, state pool.State) (findings []hostprep.Finding, err error) {
	for _, want := range p.Pages {
		without, err := h.WithoutCPUs(want.Nodes)
		if err != nil || !without || p.For != "" || want.Pages == 0 {
			return findings, err
		}
		f := hostprep.Finding{Severity: hostprep.Warning, Cause: hostprep.NodeWithoutCPUs, Have: hostprep.WithoutCPUs(pages.FormatNodes(want.Nodes)),
			Need: "pages on nodes with CPUs, for guests", Do: "choose another --node"}
		for _, node := range state.Nodes(want.Size) {
			if cpus, _, err := h.NodeCPUs(node); err == nil && len(cpus) > 0 {
				f.Do = fmt.Sprintf("vmhuge prepare --pages %d --size %s%s", want.Pages, pages.SizeWord(want.Size), onNode([]int{node}))
				break
			}
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// freeBytes is what is free in the pools and not reserved.
func freeBytes(state pool.State) int64 {
	var free int64
	for _, g := range state.Globals {
		free += max(0, g.Free-g.Reserved) * int64(g.Size)
	}
	return free
}

// takenNotes say that pages which a preparation finds are others': so many of the pool's that fewer
// are left than it asks for, and those of other programs that count as the named one's.
func (p Options) takenNotes(h host.Host, state pool.State) ([]hostprep.Finding, error) {
	if p.For == "" {
		return p.poolTaken(h, state)
	}
	change, err := p.reservation(h)
	if err != nil || change == nil || change.Pages == 0 {
		return nil, err
	}
	own, _, err := ledger.ReadReservedWith(h.Root, p.For, change.Take)
	free := int64(0)
	for _, held := range own {
		if held.At(change.Take) {
			free += held.Unmapped
		}
	}
	if err != nil || free == change.Pages {
		return nil, err
	}
	users, err := h.HugetlbUsers()
	if err != nil {
		return nil, err
	}
	have := fmt.Sprintf("of the %s for %s, %d will be free for it: programs other than guests use %d already, or are promised them, and vmhuge counts these as those of %[2]s",
		pages.Count(change.Pages, change.Size), p.For, free, change.Pages-free)
	var names []string
	for _, u := range users {
		if !strings.HasPrefix(u.Name, "qemu") && len(names) < 5 {
			names = append(names, fmt.Sprintf("%s (process %d) %s", u.Name, u.PID, pages.Amount(u.Bytes)))
		}
	}
	if len(names) > 0 {
		have += "; in use: " + strings.Join(names, ", ")
	}
	return []hostprep.Finding{{Severity: hostprep.Warning, Have: have, Need: "a reservation for each program that takes pages",
		Do: fmt.Sprintf("nothing, if %s has them already; if they are another program's: vmhuge prepare --pages %d --size %s%s --for PROGRAM for that one, which adds what is missing for both",
			p.For, change.Pages-free, pages.SizeWord(change.Size), onNode(change.Nodes))}}, nil
}

// poolTaken is about --pages without --for, which counts all pages of the pool.
func (p Options) poolTaken(h host.Host, state pool.State) (findings []hostprep.Finding, err error) {
	pending, err := h.Pending("")
	if err != nil {
		return nil, err
	}
	lasting, err := withoutGuests(h, state)
	for _, want := range p.Pages {
		has := persistent(lasting, want)
		free := max(0, min(inPools(state, want, func(p pool.Pool) int64 { return p.Free }), state.Spare(want.Size, pending)))
		after := free + max(0, want.Pages-has)
		if want.Pages == 0 || after >= want.Pages {
			continue
		}
		findings = append(findings, hostprep.Finding{Severity: hostprep.Note,
			Have: fmt.Sprintf("the pool has %s, and %d of them are free and promised to nobody: --pages counts the whole pool, so that a program which starts then finds %d",
				pages.Count(persistent(state, want), want.Size), free, after),
			Need: fmt.Sprintf("%d free ones, if they are for a program or guest that is yet to start", want.Pages),
			Do: fmt.Sprintf("vmhuge prepare --pages %d --size %s%s, which leaves %d free; or add --for PROGRAM, which keeps %[4]d for that program beside those of guests",
				max(has, want.Pages)+want.Pages-after, pages.SizeWord(want.Size), onNode(want.Nodes), want.Pages)})
	}
	return findings, err
}

// onNode is the option for pages of one node.
func onNode(nodes []int) string {
	if len(nodes) == 0 {
		return ""
	}
	return " --node " + pages.FormatNodes(nodes)
}
