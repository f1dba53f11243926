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
	taken, err := p.takenNotes(h, state)
	if err != nil {
		return findings, err
	}
	for _, text := range taken {
		note(text[0], text[1], text[2])
	}
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

// freeBytes is what is free in the pools and not reserved.
func freeBytes(state pool.State) int64 {
	var free int64
	for _, g := range state.Globals {
		free += max(0, g.Free-g.Reserved) * int64(g.Size)
	}
	return free
}

// takenNotes say which of the pages that a preparation finds are others': a pool whose free pages
// are all promised, and those of other programs that count as the named one's.
func (p Options) takenNotes(h host.Host, state pool.State) (notes [][3]string, err error) {
	if p.For == "" {
		for _, want := range p.Pages {
			g, _ := state.Global(want.Size)
			spare := max(0, g.Available())
			if has := persistent(state, want); has >= want.Pages && g.Free > 0 && spare == 0 {
				notes = append(notes, [3]string{fmt.Sprintf("the pool has %s, of which %d are free, and all of those are promised", pages.Count(has, want.Size), g.Free),
					"enough for what will take them: --pages counts the whole pool", fmt.Sprintf("for %d free ones, ask for %d", want.Pages, g.Total+want.Pages)})
			}
		}
		return notes, nil
	}
	change, err := p.reservation(h)
	if err != nil || change == nil || change.Pages == 0 {
		return nil, err
	}
	own, _, err := ledger.ReadReservedWith(h.Root, p.For, change.Take)
	has := change.Pages
	for _, held := range own {
		if held.At(change.Take) {
			has -= held.Unmapped
		}
	}
	if has > 0 {
		notes = append(notes, [3]string{fmt.Sprintf("programs other than guests have, or are promised, at least %s, and vmhuge counts these as those of %s", pages.Count(has, change.Size), p.For),
			"a reservation for each program that takes pages", "if they are another program's, reserve for that one as well: vmhuge prepare --pages N --for PROGRAM"})
	}
	return notes, err
}
