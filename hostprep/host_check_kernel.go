package hostprep

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/internal/pages"
)

// kernelCheck asks whether the kernel was built with hugetlbfs.
var kernelCheck = hostCheck{"kernel", func(h Host, _ anyGuest) ([]Fact, error) {
	text, err := h.Root.Read("proc", "filesystems")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(strings.Fields(text), "hugetlbfs") {
		return []Fact{block(BadHost, "kernel", "has no hugetlbfs", "CONFIG_HUGETLBFS", "boot a kernel that has it")}, nil
	}
	return []Fact{fine("kernel", "has hugetlbfs")}, nil
}}

// cmdlineCheck compares what the kernel was asked for when it booted with what
// there is.
var cmdlineCheck = hostCheck{"command line", func(h Host, g anyGuest) ([]Fact, error) {
	const name = "command line"
	findings, err := h.cmdlinePages()
	if err != nil {
		return nil, err
	}
	facts := of(name, findings, Warning)
	k, err := h.bootKernel()
	if err != nil {
		return facts, err
	}
	state, err := h.Pools()
	if err != nil {
		return facts, err
	}
	asked := parseKernelCmdline(k.cmdline, k.standard, func(size pages.Size) bool { return size > 0 })
	if asked.Default != 0 && asked.Default != g.size {
		facts = append(facts, off(Warning, name, fmt.Sprintf("default_hugepagesz=%s, but the default is %s", sizeWord(asked.Default), g.size),
			"a size that the kernel has: "+joinSizes(state.Sizes()), "correct it and boot"))
	}
	for _, size := range state.Sizes() {
		if n := asked.of(size); n > 0 && len(findings) == 0 {
			facts = append(facts, fine(name, fmt.Sprintf("asks for %s, and they are there", count(n, size))))
		}
	}
	thp, err := h.THP()
	if err != nil {
		return facts, err
	}
	for _, word := range kernelWords(k.cmdline) {
		set, ok := strings.CutPrefix(word, "transparent_hugepage=")
		switch {
		case ok && set != thp.Enabled:
			facts = append(facts, off(Note, name, fmt.Sprintf("%s, but it is %s now", word, orNothing(thp.Enabled)), "the same after the next boot", "correct it"))
		case ok:
			facts = append(facts, fine(name, word))
		}
	}
	if len(facts) == 0 {
		facts = append(facts, fine(name, "asks for no huge pages"))
	}
	return facts, nil
}}
