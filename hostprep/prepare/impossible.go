package prepare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// impossible says which pages of a preparation the kernel or the host can't have, and
// which of its users and groups do not exist. With Persist the pages that are kept for
// boot already count, too.
func impossible(h host.Host, p Options) ([]hostprep.Finding, error) {
	findings, err := unknownNames(h, p)
	if err != nil {
		return nil, err
	}
	refused, err := boot.RefuseAreas(h, p.OnDemand)
	if err != nil {
		return nil, err
	}
	findings = append(findings, refused...)
	var table boot.Table
	if p.Persist {
		if table, err = boot.Read(h); err != nil {
			return nil, err
		}
	}
	table = p.onTable(table)
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	nodes, err := h.Nodes()
	if err != nil {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	reserve := cmp.Or(p.Reserve, pool.Reserve(mem.Total))
	var sizes []string
	for _, size := range state.Sizes() {
		sizes = append(sizes, size.String())
	}
	var all int64
	bound := map[int]int64{}
	refuse := func(verdict hostprep.Verdict, have, need, do string) {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: verdict, Have: have, Need: need, Do: do})
	}
	for program := range table.Reserved() {
		if table.Overcommit {
			refuse(hostprep.BadHost, "pages are reserved for "+program+" after a reboot", "none, or no --overcommit: the kernel reserves nothing then",
				"vmhuge prepare --persist without --overcommit, or vmhuge undo first")
		}
	}
	var others map[pages.Size]int64
	if p.Persist {
		if others, err = boot.OthersAtBoot(h); err != nil {
			return nil, err
		}
	}
	sums := table.Sums(others)
	var pooled int64 // of other sizes, which can't become these pages
	isOther := func(size pages.Size) bool {
		return !slices.ContainsFunc(sums, func(row boot.Row) bool { return row.Size == size })
	}
	for _, g := range state.Globals {
		if isOther(g.Size) {
			pooled += g.Total * int64(g.Size)
		}
	}
	beside := map[int]int64{} // what else has a node's memory, or is to have it at boot
	if p.Persist {
		if beside, err = boot.OthersOnNodes(h); err != nil {
			return nil, err
		}
	} else {
		for _, p := range state.Pools {
			if isOther(p.Size) {
				beside[p.Node] += p.Total * int64(p.Size)
			}
		}
	}
	for _, row := range sums {
		if !slices.Contains(state.Sizes(), row.Size) {
			do := "use a size that it has: " + pages.OrNone(sizes)
			if cpu, err := h.CPU(); err == nil && cpu.PDPE1GB && row.Size == pages.Size1GiB {
				do = "boot with hugepagesz=1G, as the processor supports them, and run this again; or " + do
			}
			refuse(hostprep.BadHost, fmt.Sprintf("the kernel has no pages of %s", row.Size), row.Words(), do)
		}
		for _, id := range row.Nodes {
			if !slices.ContainsFunc(nodes, func(n host.Node) bool { return n.ID == id }) {
				refuse(hostprep.BadHost, fmt.Sprintf("there is no node %d", id), row.Words(), "use an existing node")
			}
		}
		if len(row.Nodes) == 1 {
			bound[row.Nodes[0]] += row.Pages * int64(row.Size)
		}
		all += row.Pages * int64(row.Size)
	}
	for _, area := range table.OnDemand {
		if area.Node >= 0 {
			bound[area.Node] += area.GiB * pages.GiB
		}
		all += area.GiB * pages.GiB
	}
	const do = "ask for fewer pages, or let the host keep less (--host-reserve)"
	needed, own, lower := "for pages", all, ""
	if theirs, places, err := reservedByOthers(h); err != nil {
		return nil, err
	} else if p.Persist && all > 0 && theirs > 0 {
		all += theirs
		lower = "take that out of " + strings.Join(places, " and ") + ", or lower it there, "
		reserves := "reserves"
		if len(places) > 1 {
			reserves = "reserve"
		}
		needed += fmt.Sprintf(", with the %s that %s %s at boot", pages.FormatBytes(theirs), strings.Join(places, " and "), reserves)
	} else if all > 0 && pooled > 0 {
		all += pooled
		needed += fmt.Sprintf(", with the %s that pools of other sizes have", pages.FormatBytes(pooled))
	}
	if can := mem.Total - reserve; all > can {
		do := do
		switch theirs := all - own; {
		case lower == "":
		case own <= can && theirs <= can:
			do = lower + "then run this again; or " + do
		case own <= can: // no fewer pages would do
			do = lower + "then run this again"
		default:
			do = lower + "and " + do
		}
		refuse(hostprep.NoMemory, fmt.Sprintf("%s of RAM, of which the host keeps %s", pages.FormatBytes(mem.Total), pages.FormatBytes(reserve)),
			pages.FormatBytes(all)+" "+needed, do)
	}
	if p.Persist && (len(p.Pages) > 0 || len(p.guests()) > 0) {
		commit, room, err := boot.NextPoolRoom(h, reserve)
		if err != nil {
			return nil, err
		}
		if all > room {
			refuse(hostprep.NoMemory, fmt.Sprintf("%s, and %s is committed now", commit.Words(), pages.Amount(commit.Committed)), pages.FormatBytes(all)+" "+needed,
				fmt.Sprintf("ask for no more than %s in all, or %s", pages.Amount(room), commit.More()))
		}
	}
	for _, n := range nodes {
		can := n.Total - pool.NodeReserve(reserve, len(nodes))
		if len(nodes) < 2 || bound[n.ID] == 0 || bound[n.ID]+beside[n.ID] <= can {
			continue
		}
		have := fmt.Sprintf("%s on node %d, of which %s must stay ordinary memory", pages.FormatBytes(n.Total), n.ID, pages.FormatBytes(n.Total-can))
		do := do
		if beside[n.ID] > 0 {
			if p.Persist && bound[n.ID] <= can {
				do = "lower what the kernel's command line reserves there, then run this again; or " + do
			}
			have += fmt.Sprintf(" and %s is for other pages", pages.FormatBytes(beside[n.ID]))
		}
		refuse(hostprep.NoMemory, have, fmt.Sprintf("%s for pages there", pages.FormatBytes(bound[n.ID])), do)
	}
	return findings, nil
}
