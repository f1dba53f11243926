package prepare

import (
	"fmt"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// notesStep names what works against huge pages on this host, with its numbers,
// and leaves it: others may need it so.
var notesStep = Step{"notes", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	note := func(have, need, do string) {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Note, Have: have, Need: need, Do: do})
	}
	swap, err := h.Swap()
	if err != nil {
		return findings, err
	}
	if free := freeBytes(state); swap.Used > 0 && free > 0 {
		note(fmt.Sprintf("%s are swapped out while %s of the pools lie free, which nothing else can use", pages.Amount(swap.Used), pages.Amount(free)),
			"no more free pages than guests will take", "vmhuge status shows the pools; what prepare has added, vmhuge undo gives back")
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
		note(fmt.Sprintf("KSM is on, and saves %s (pages_sharing %d): it merges nothing of reserved pages, and takes transparent ones apart", pages.Amount(ksm.Sharing*int64(small)), ksm.Sharing),
			"KSM only where guests on small pages gain by it", "echo 0 > /sys/kernel/mm/ksm/run, if none does")
	}
	thp, err := h.THP()
	if err != nil {
		return findings, err
	}
	var lacks int64
	for _, l := range p.lacks(state) {
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
			note(fmt.Sprintf("transparent huge pages are given to whoever has memory (enabled is always), and hold %s: the pools lack %s, and must find their blocks beside them", pages.Amount(taken), pages.Amount(lacks)),
				"transparent huge pages only for those who ask", "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; QEMU asks")
		}
	}
	for _, g := range p.Guests {
		if given := g.Traits.MemoryKiB - g.Traits.CurrentKiB; g.Demand.Backing == pages.Hugetlb && g.Traits.Balloon && g.Traits.CurrentKiB > 0 && given > 0 {
			note(fmt.Sprintf("the balloon of %s is to give back %s, and of reserved pages the host gets none of that", g.Demand.Domain, pages.Amount(given*pages.KiB)),
				"<currentMemory> as large as <memory>", "lower <memory> of "+g.Demand.Domain+" to what it shall have")
		}
	}
	return findings, nil
}}

// freeBytes is what lies free in the pools and is promised to nobody.
func freeBytes(state pool.State) int64 {
	var free int64
	for _, g := range state.Globals {
		free += max(0, g.Free-g.Reserved) * int64(g.Size)
	}
	return free
}
