package hostpage

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// kernelCheck asks whether the kernel was built with hugetlbfs.
var kernelCheck = hostCheck{"kernel", func(h host.Host, _ anyGuest) ([]Fact, error) {
	text, err := h.Root.Read("proc", "filesystems")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(strings.Fields(text), "hugetlbfs") {
		return []Fact{block(hostprep.BadHost, "kernel", "has no hugetlbfs", "CONFIG_HUGETLBFS", "boot a kernel built with it")}, nil
	}
	return []Fact{fine("kernel", "has hugetlbfs")}, nil
}}

// cmdlineCheck compares what the kernel was asked for when it booted with what
// there is.
var cmdlineCheck = hostCheck{"command line", func(h host.Host, g anyGuest) ([]Fact, error) {
	const name = "command line"
	findings, err := check.KernelCmdline(h)
	if err != nil {
		return nil, err
	}
	facts := of(name, findings, hostprep.Warning)
	k, err := boot.ReadKernel(h)
	if err != nil {
		return facts, err
	}
	state, err := h.Pools()
	if err != nil {
		return facts, err
	}
	asked := k.Asked()
	if asked.Default != 0 && asked.Default != g.size {
		facts = append(facts, off(hostprep.Warning, name, fmt.Sprintf("default_hugepagesz=%s, but the default is %s", pages.SizeWord(asked.Default), g.size),
			asked.Default.String()+" as the default", "dmesg | grep -i hugetlb shows why the kernel did not take it; correct it and reboot"))
	}
	for _, size := range state.Sizes() {
		if n := asked.Of(size); n > 0 && len(findings) == 0 {
			facts = append(facts, fine(name, fmt.Sprintf("asks for %s, all allocated", pages.Count(n, size))))
		}
	}
	mem, err := h.Meminfo()
	if err != nil {
		return facts, err
	}
	if n, setting := k.Reserves(); setting != "" {
		if all, _ := state.Global(g.size); all.Total < n {
			facts = append(facts, off(hostprep.Warning, name, fmt.Sprintf("%s asks for %s, but %d are allocated", setting, pages.Count(n, g.size), all.Total),
				"all of them", check.AskFor(state, mem, n, g.size, -1)))
		} else {
			facts = append(facts, fine(name, fmt.Sprintf("%s asks for %s, all allocated", setting, pages.Count(n, g.size))))
		}
	}
	if area := asked.Area(); area > 0 && mem.CMA != nil && mem.CMA.TotalKiB*pages.KiB >= area {
		have := fmt.Sprintf("has an area of %s for pages of 1 GiB on demand, with %s of it free", pages.FormatBytes(area), pages.Amount(min(area, mem.CMA.FreeKiB*pages.KiB)))
		if e, there, err := capacity.ReadEmptying(h); err != nil {
			return facts, err
		} else if words := e.Words(area / pages.GiB); there && words != "" {
			have += "; for all of it " + words
		}
		facts = append(facts, fine(name, have))
	}
	movable, err := movableZone(h, k.Cmdline)
	if err != nil {
		return facts, err
	}
	facts = append(facts, movable...)
	thp, err := h.THP()
	if err != nil {
		return facts, err
	}
	thpSet := false
	for _, word := range slices.Backward(boot.KernelWords(k.Cmdline)) {
		set, ok := strings.CutPrefix(word, "transparent_hugepage=")
		switch {
		case ok && !slices.Contains([]string{"always", "madvise", "never"}, set): // among the slips
		case ok && thpSet:
		case ok && thp.Enabled == "":
			thpSet = true
			facts = append(facts, off(hostprep.Note, name, word+", but this kernel has no transparent huge pages", "a kernel with CONFIG_TRANSPARENT_HUGEPAGE, or no such setting", "take it off the command line, if guests need none"))
		case ok && set != thp.Enabled:
			thpSet = true // earlier ones are among the slips
			facts = append(facts, off(hostprep.Note, name, fmt.Sprintf("%s, but transparent_hugepage/enabled is %s now", word, thp.Enabled), "one setting, now and after the next boot",
				"correct it on the command line, or where it is set later: grep -r transparent_hugepage /etc"))
		case ok:
			thpSet = true
			facts = append(facts, fine(name, word))
		}
	}
	if len(facts) == 0 {
		facts = append(facts, fine(name, "asks for no huge pages"))
	}
	return facts, nil
}}

// movableZone says of a command line that keeps memory for what can move that the kernel
// makes no pages of 1 GiB there.
func movableZone(h host.Host, cmdline string) ([]Fact, error) {
	moves, ok, err := h.MovesGigantic()
	if err != nil || moves {
		return nil, err
	}
	state, err := h.Pools()
	if _, has := state.Global(pages.Size1GiB); err != nil || !has {
		return nil, err
	}
	zones, err := h.Zoneinfo()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.ContainsFunc(zones, func(z host.ZoneLimits) bool { return z.Name == host.Movable && z.Present > 0 }) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var facts []Fact
	for _, word := range boot.KernelWords(cmdline) {
		switch name, _, _ := strings.Cut(word, "="); name {
		case "kernelcore", "movablecore", "movable_node":
			do := "reserve pages of 1 GiB at boot, give guests ones of " + pages.Usual(h.Arch(), state.Sizes()).String() + ", or take it out"
			if ok {
				do += "; sysctl -w vm.movable_gigantic_pages=1 has the kernel make them there, too"
			}
			facts = append(facts, off(hostprep.Note, "command line", word+" keeps memory for what can move, and the kernel makes no pages of 1 GiB of it", "memory outside the zone Movable for such pages", do))
		}
	}
	return facts, nil
}
