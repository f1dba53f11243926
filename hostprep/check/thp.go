package check

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// THP asks whether the kernel gives transparent huge pages to a guest that
// is set to use them. Only if the kernel gives none at all is that a blocker, which start
// fixes: the settings are those of the whole host.
var THP = Check{"thp", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if g.Demand.Backing != pages.THP {
		return nil, nil
	}
	thp, err := h.THP()
	if err != nil {
		return nil, err
	}
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	usual := pages.Usual(g.Traits.Arch, state.Sizes())
	if thp.Enabled == "" {
		return []hostprep.Finding{{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: "the kernel has no transparent huge pages",
			Need: "a kernel with CONFIG_TRANSPARENT_HUGEPAGE", Do: "use reserved pages: " + enable(g, usual)}}, nil
	}
	var findings []hostprep.Finding
	advise := func(f hostprep.Finding, name, from, to string) {
		findings = append(findings, f.With(SetTHP(h, name, from, to)))
	}
	if thp.Enabled == "never" {
		advise(hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Fixable: true, Have: "transparent huge pages are off: " + path.Join(h.THPFile("enabled")...) + " is never",
			Need: "madvise or always", Do: "vmhuge start sets madvise"}, "enabled", "never", "madvise")
	}
	if thp.Defrag == "never" || thp.Defrag == "defer" {
		advise(hostprep.Finding{Severity: hostprep.Warning, Have: "defrag is " + thp.Defrag + ": where memory is fragmented, the guest starts on small pages",
			Need: "madvise, so that the kernel compacts memory for guests that ask for it"}, "defrag", thp.Defrag, "madvise")
	}
	if g.Demand.Shared {
		what := "its memory is shared"
		if g.Demand.PartlyShared {
			what = "a part of its memory is shared"
		}
		findings = append(findings, hostprep.Finding{Severity: hostprep.Warning, Have: what + ", which QEMU 7.2 aligns to 4 KiB: no transparent huge page fits",
			Need: "private memory, or reserved pages", Do: command(g, "enable --size "+pages.SizeWord(usual)+" --source memfd")})
		if !slices.Contains([]string{"advise", "within_size", "always", "force", ""}, thp.Shmem) {
			advise(hostprep.Finding{Severity: hostprep.Warning, Have: "shmem_enabled is " + thp.Shmem + ": shared memory gets none even where it is aligned",
				Need: "advise"}, "shmem_enabled", thp.Shmem, "advise")
		}
	}
	more, err := khugepaged(h, g)
	if err != nil {
		return nil, err
	}
	findings = append(findings, more...)
	more, err = thpRoom(h, g)
	return append(findings, more...), err
}}

// SetTHP is the change of one of the kernel's settings.
func SetTHP(h host.Host, name, from, to string) change.Change {
	file := append([]string{"/"}, append(host.THPDir, h.THPFile(name)...)...)
	return change.Change{Kind: change.KindSysfs, Path: filepath.Join(file...), From: from, To: to}
}

// slow is how long a scan by khugepaged may take before it is too late to help a guest.
const slow = 10 * time.Minute

// khugepaged looks at the kernel's thread that turns small pages into huge ones
// if none were free when the memory was touched.
func khugepaged(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	value := map[string]int64{}
	for _, name := range []string{"defrag", "pages_to_scan", "scan_sleep_millisecs"} {
		n, err := h.Root.ReadInt(append(slices.Clone(host.THPDir), "khugepaged", name)...)
		if err != nil {
			return nil, err
		}
		value[name] = n
	}
	set := func(name string, to int64) change.Change {
		return SetTHP(h, "khugepaged/"+name, strconv.FormatInt(value[name], 10), strconv.FormatInt(to, 10))
	}
	var findings []hostprep.Finding
	if value["defrag"] == 0 {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Warning, Have: "khugepaged/defrag is 0: small pages stay small where memory is fragmented",
			Need: "1"}.With(set("defrag", 1)))
	}
	small, err := h.SmallPage()
	if err != nil {
		return nil, err
	}
	all, scan, sleep := small.Ceil(hostprep.RAMOf(g)), max(1, value["pages_to_scan"]), time.Duration(value["scan_sleep_millisecs"])*time.Millisecond
	if took := time.Duration(all/scan) * sleep; took > slow {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Note, Have: fmt.Sprintf("khugepaged scans %s every %s, and %s in %s",
			pages.Amount(scan*int64(small)), sleep, pages.Amount(hostprep.RAMOf(g)), took.Round(time.Minute)),
			Need: "less than " + slow.String() + ", in case the guest starts on small pages"}.With(set("pages_to_scan", 2*all*int64(sleep)/int64(slow))))
	}
	return findings, nil
}

// thpRoom compares the guest with the available memory. All of the guest's memory is
// allocated at start; if there is too little, the host swaps or the OOM killer runs.
func thpRoom(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	if hostprep.RAMOf(g) > mem.Available {
		return []hostprep.Finding{{Severity: hostprep.Warning, Verdict: hostprep.Unknown,
			Have: fmt.Sprintf("%s of ordinary memory is available", pages.Amount(mem.Available)),
			Need: fmt.Sprintf("%s, all of it allocated at start", pages.Amount(hostprep.RAMOf(g))), Do: "stop a guest, or use less memory"}}, nil
	}
	nodes, err := pages.ParseNodesOrNone(g.Demand.CPUSetNodes)
	if err != nil {
		return nil, err
	}
	free, size, err := h.FreeTHPs(nodes)
	if err != nil {
		return nil, err
	}
	if need := size.Ceil(hostprep.RAMOf(g)); free < need {
		return []hostprep.Finding{{Severity: hostprep.Note, Have: fmt.Sprintf("%d blocks of %s are free in one piece", free, size),
			Need: fmt.Sprintf("%d, or time for the kernel to form them", need), Do: "vmhuge verify --wait shows the progress"}}, nil
	}
	return nil, err
}
