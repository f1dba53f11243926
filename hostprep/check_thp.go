package hostprep

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"vmhuge/internal/pages"
)

// thpCheck asks whether the kernel gives transparent huge pages to a guest that
// is meant for them. Only where it gives none at all is that a blocker, and
// mended: these settings are the whole host's.
var thpCheck = Check{"thp", func(h Host, g Guest) ([]Finding, error) {
	if g.Demand.Backing != pages.THP {
		return nil, nil
	}
	thp, err := h.THP()
	if err != nil {
		return nil, err
	}
	if thp.Enabled == "" {
		return []Finding{{Severity: Blocker, Verdict: BadHost, Have: "the kernel has no transparent huge pages",
			Need: "a kernel with CONFIG_TRANSPARENT_HUGEPAGE", Do: "take reserved pages: vmhuge enable --size 2M " + g.Demand.Domain}}, nil
	}
	var findings []Finding
	advise := func(f Finding, name, from, to string) { findings = append(findings, f.with(h.setTHP(name, from, to))) }
	if thp.Enabled == "never" {
		advise(Finding{Severity: Blocker, Verdict: BadHost, Fixable: true, Have: "transparent huge pages are off: enabled is never",
			Need: "madvise or always", Do: "vmhuge start sets madvise"}, "enabled", "never", "madvise")
	}
	if thp.Defrag == "never" || thp.Defrag == "defer" {
		advise(Finding{Severity: Warning, Have: "defrag is " + thp.Defrag + ": where memory is fragmented, the guest starts on small pages",
			Need: "madvise, so that the kernel makes room for what asks for it"}, "defrag", thp.Defrag, "madvise")
	}
	if g.Demand.Shared {
		findings = append(findings, Finding{Severity: Warning, Have: "its memory is shared, which QEMU 7.2 aligns to 4 KiB: no transparent huge page fits",
			Need: "memory that nobody shares, or reserved pages", Do: "vmhuge enable --size 2M --source memfd " + g.Demand.Domain})
		if !slices.Contains([]string{"advise", "within_size", "always", "force", ""}, thp.Shmem) {
			advise(Finding{Severity: Warning, Have: "shmem_enabled is " + thp.Shmem + ": shared memory gets none even where it is aligned",
				Need: "advise"}, "shmem_enabled", thp.Shmem, "advise")
		}
	}
	more, err := h.khugepaged(g)
	if err != nil {
		return nil, err
	}
	findings = append(findings, more...)
	more, err = h.thpRoom(g)
	return append(findings, more...), err
}}

// setTHP is the change of one of the kernel's settings.
func (h Host) setTHP(name, from, to string) Change {
	path := append([]string{"/"}, append(thpDir, h.thpFile(name)...)...)
	return Change{Kind: KindSysfs, Path: filepath.Join(path...), From: from, To: to}
}

// with adds the change that mends it, which the user makes unless start does.
func (f Finding) with(c Change) Finding {
	f.Changes = []Change{c}
	if !f.Fixable {
		f.Do = c.String()
	}
	return f
}

// slow is a time in which khugepaged is of no help to a guest any more.
const slow = 10 * time.Minute

// khugepaged looks at the kernel's thread that turns small pages into huge ones
// where none could be had at once.
func (h Host) khugepaged(g Guest) ([]Finding, error) {
	value := map[string]int64{}
	for _, name := range []string{"defrag", "pages_to_scan", "scan_sleep_millisecs"} {
		n, err := h.Root.ReadInt(append(slices.Clone(thpDir), "khugepaged", name)...)
		if err != nil {
			return nil, err
		}
		value[name] = n
	}
	set := func(name string, to int64) Change {
		return h.setTHP("khugepaged/"+name, strconv.FormatInt(value[name], 10), strconv.FormatInt(to, 10))
	}
	var findings []Finding
	if value["defrag"] == 0 {
		findings = append(findings, Finding{Severity: Warning, Have: "khugepaged/defrag is 0: small pages stay small where memory is fragmented",
			Need: "1"}.with(set("defrag", 1)))
	}
	small, err := h.smallPage()
	if err != nil {
		return nil, err
	}
	all, scan, sleep := small.Ceil(ramOf(g)), max(1, value["pages_to_scan"]), time.Duration(value["scan_sleep_millisecs"])*time.Millisecond
	if took := time.Duration(all/scan) * sleep; took > slow {
		findings = append(findings, Finding{Severity: Note, Have: fmt.Sprintf("khugepaged looks at %s every %s, and at %s in %s",
			amount(scan*int64(small)), sleep, amount(ramOf(g)), took.Round(time.Minute)),
			Need: "less than " + slow.String() + ", should the guest get small pages at first"}.with(set("pages_to_scan", 2*all*int64(sleep)/int64(slow))))
	}
	return findings, nil
}

// thpRoom compares the guest with the memory that is there. All of it is taken
// at start, and swapping or the kernel's killer would make room.
func (h Host) thpRoom(g Guest) ([]Finding, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	if ramOf(g) > mem.Available {
		return []Finding{{Severity: Warning, Verdict: Unknown,
			Have: fmt.Sprintf("%s of ordinary memory are available", amount(mem.Available)),
			Need: fmt.Sprintf("%s, all of which are taken at start", amount(ramOf(g))), Do: "stop a guest, or use less memory"}}, nil
	}
	zones, err := h.Buddyinfo()
	if err != nil {
		return nil, err
	}
	size, err := h.thpSize()
	if err != nil {
		return nil, err
	}
	small, err := h.smallPage()
	if err != nil {
		return nil, err
	}
	nodes, err := parseNodes(g.Demand.CPUSetNodes)
	if free, need := blocks(zones, nodes, size, small), size.Ceil(ramOf(g)); err == nil && free < need {
		return []Finding{{Severity: Note, Have: fmt.Sprintf("%d blocks of %s are free in one piece", free, size),
			Need: fmt.Sprintf("%d, or time for the kernel to make them", need), Do: "vmhuge verify --wait shows how far it gets"}}, nil
	}
	return nil, err
}

// ramOf is the guest's RAM in bytes, on whatever pages.
func ramOf(g Guest) int64 {
	var kib int64
	for _, b := range g.Demand.Backends {
		if b.Kind != pages.VirtioMem {
			kib += b.MemoryKiB
		}
	}
	return kib * pages.KiB
}
