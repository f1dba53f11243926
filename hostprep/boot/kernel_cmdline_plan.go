package boot

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
	"vmhuge/internal/sysctl"
)

// Kernel is what decides how the kernel reads its command line.
type Kernel struct {
	Sizes    []pages.Size // that it can have, smallest first
	Standard pages.Size   // its default where the command line sets none
	Nodes    []int        // that are online
	memory   []int        // those of them with memory, over which the kernel spreads pages
	Release  string       // of the one that runs; "": not known
	Cmdline  string       // of the one that runs
	cpu      host.CPU
	CMA      bool // that it is built with areas for contiguous memory
	noArea   bool // that it could not set apart the area for which its command line asks
}

func ReadKernel(h host.Host) (Kernel, error) {
	return host.Once(h, cacheKey("kernel"), func() (Kernel, error) { return readKernel(h) })
}

func readKernel(h host.Host) (k Kernel, err error) {
	state, err := h.Pools()
	if err != nil {
		return k, err
	}
	k.Sizes = state.Sizes()
	if k.cpu, err = h.CPU(); err != nil {
		return k, err
	}
	// Kernels that can't allocate pages of 1 GiB once they run list that size only if
	// their command line asked for it.
	if k.cpu.PDPE1GB && !slices.Contains(k.Sizes, pages.Size1GiB) {
		k.Sizes = append(k.Sizes, pages.Size1GiB)
	}
	nodes, err := h.Nodes()
	if err != nil {
		return k, err
	}
	for _, n := range nodes {
		k.Nodes = append(k.Nodes, n.ID)
		if n.Total > 0 {
			k.memory = append(k.memory, n.ID)
		}
	}
	mem, err := h.Meminfo()
	if err != nil {
		return k, err
	}
	if k.Release, err = h.ReadIfThere("/proc/sys/kernel/osrelease"); err != nil {
		return k, err
	}
	if k.Cmdline, err = h.ReadIfThere("/proc/cmdline"); err != nil {
		return k, err
	}
	k.Cmdline = strings.TrimSpace(k.Cmdline)
	k.Standard, k.CMA = mem.HugePageSize, mem.CMA != nil
	k.noArea = k.CMA && mem.CMA.TotalKiB == 0 && k.Asks(k.Cmdline).Area() > 0
	if k.Takes(k.Cmdline).Default != 0 { // meminfo has the default that was set
		k.Standard, err = h.THPSize()
	}
	return k, err
}

// Asked is what the kernel understands of the command line that it was booted with.
func (k Kernel) Asked() Request { return k.Takes(k.Cmdline) }

// Reserves is how many pages of its default size the kernel reserves at boot by its command
// line, apart from vmhuge, and the word of a setting that says it: sysctl.vm.nr_hugepages= is
// made when hugepages= has been.
func (k Kernel) Reserves() (n int64, setting string) {
	line := withoutOurs(k.Cmdline)
	n = k.Takes(line).Of(k.DefaultSize())
	for _, word := range KernelWords(line) {
		name, value, _ := strings.Cut(word, "=")
		switch strings.ReplaceAll(name, "/", ".") {
		case "sysctl.vm.nr_hugepages", "sysctl.vm.nr_hugepages_mempolicy":
			if count, err := sysctl.Number(value); err == nil {
				n, setting = count, word
			}
		}
	}
	return n, setting
}

// DefaultSize is the size that vm.nr_hugepages counts.
func (k Kernel) DefaultSize() pages.Size { return cmp.Or(k.Takes(k.Cmdline).Default, k.Standard) }

// Online says whether the host has a node.
func (k Kernel) Online(node int) bool { return len(k.Nodes) == 0 || slices.Contains(k.Nodes, node) }

// Takes is what the kernel has from boot on by a command line.
func (k Kernel) Takes(line string) Request {
	r := k.Asks(line)
	if k.Skips(r) {
		maps.DeleteFunc(r.Pages, func(p Pool, _ int64) bool { return p.Size >= k.Gigantic() })
	}
	return r
}

// cmdlinePlan returns the changes after which the options that vmhuge keeps on the
// kernel's command line ask for exactly this; the zero value: they are removed. There are
// no findings if they do so already. Other options stay. If vmhuge's would change what
// these mean, or the kernel would ignore vmhuge's, that is a blocker without changes.
func cmdlinePlan(h host.Host, want options) ([]hostprep.Finding, error) {
	want.pages = slices.DeleteFunc(slices.Clone(want.pages), func(w PoolPages) bool { return w.Pages <= 0 })
	k, err := ReadKernel(h)
	if err != nil {
		return nil, err
	}
	if refused := k.refuse(want); len(refused) > 0 {
		return refused, nil
	}
	boot, err := findLoader(h)
	if err != nil {
		return nil, err
	}
	if boot.byHand != nil {
		return planByHand(h, k, boot, want.words(k.memory))
	}
	before, err := boot.with("")
	if err != nil {
		return nil, err
	}
	sameDefault := func(l cmdline.Line) bool { return k.Takes(l.Text).Default == want.defaultSize }
	if !slices.ContainsFunc(before.lines(before.files), func(l cmdline.Line) bool { return !sameDefault(l) }) {
		want.defaultSize = 0 // the command line sets it without vmhuge's options
	}
	ours := want.words(k.memory)
	after, err := boot.with(ours)
	if err != nil {
		return []hostprep.Finding{{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: err.Error(), Need: pages.OrNothing(ours),
			Do: "fix that, or put the options on the command line yourself, and reboot"}}, nil
	}
	if conflicts := k.conflicts(before, after, ours); len(conflicts) > 0 {
		return conflicts, nil
	}
	changes, err := boot.changes(h, ours)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	next := boot.lines(boot.files)
	line := next[max(0, slices.IndexFunc(next, func(l cmdline.Line) bool { return cmdline.Ours(l.Text) != ours }))].Text
	f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Fixable: true, Changes: changes,
		Have: "at the next boot the kernel's command line has " + hugeWords(line),
		Need: ours, Do: "run vmhuge prepare --persist, then reboot",
		Reboot: slices.ContainsFunc(after.lines(after.files), func(l cmdline.Line) bool { return cmdline.Ours(l.Text) == ours && k.onlyBoots(l.Text) })}
	if ours == "" {
		f.Need, f.Do = "none of vmhuge's", "vmhuge undo removes them"
	}
	return []hostprep.Finding{f}, nil
}

// onlyBoots says whether a command line asks for what the running kernel can't be given any
// more: anything but pages.
func (k Kernel) onlyBoots(line string) bool {
	now, next := k.Asked(), k.Takes(line)
	return next.Default != now.Default || next.Freed != now.Freed || next.FromArea != now.FromArea || !maps.Equal(next.Areas, now.Areas)
}

// RefuseAreas says why the running kernel could not keep areas for pages on demand.
func RefuseAreas(h host.Host, areas []Area) ([]hostprep.Finding, error) {
	k, err := ReadKernel(h)
	if err != nil || len(areas) == 0 {
		return nil, err
	}
	return k.refuse(options{areas: areas}), nil
}

// refuse says what the running kernel could not be asked for.
func (k Kernel) refuse(want options) []hostprep.Finding {
	var findings []hostprep.Finding
	refuse := func(have, need, do string) {
		f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: have, Need: need, Do: do}
		if !slices.ContainsFunc(findings, func(other hostprep.Finding) bool { return other.Need == need }) {
			findings = append(findings, f)
		}
	}
	named := false
	all := append(slices.Clone(want.pages), PoolPages{Size: want.defaultSize, Node: -1})
	for _, a := range want.areas {
		all = append(all, PoolPages{Size: pages.Size1GiB, Node: a.Node})
	}
	for _, w := range all {
		named = named || w.Node >= 0
		if w.Size != 0 && !slices.Contains(k.Sizes, w.Size) {
			have := "the kernel has no huge pages"
			do := "boot a kernel with CONFIG_HUGETLBFS"
			if len(k.Sizes) > 0 {
				have, do = "the kernel has pages of "+pages.JoinSizes(k.Sizes), "use one of these sizes"
			}
			if k.cpu.Known && w.Size == pages.Size1GiB {
				have += ", and the processor does not support 1 GiB"
			}
			refuse(have, "pages of "+w.Size.String(), do)
		}
		if w.Node >= 0 && !slices.Contains(k.Nodes, w.Node) {
			refuse(fmt.Sprintf("node %d does not exist: the host has node %s", w.Node, pages.FormatNodes(k.Nodes)), fmt.Sprintf("another node than %d", w.Node), "name an existing node, or none")
		}
	}
	if len(want.areas) > 0 && !k.CMA {
		refuse("Linux "+cmp.Or(strings.TrimSpace(k.Release), "as it runs")+" is built without CMA: /proc/meminfo has no CmaTotal",
			"CONFIG_CMA for pages of 1 GiB on demand, as Debian has for amd64 since 7.2 and for arm64 since 6.12", "reserve the pages at boot: vmhuge prepare --persist --pages N --size 1G; or boot a kernel with CMA")
	}
	for _, w := range want.pages {
		if len(want.areas) > 0 && k.isGigantic(w.Size) {
			refuse("with an area for pages on demand the kernel skips pages of 1 GiB at boot, and without systemd vmhuge does not run then",
				"one of the two", "leave out --persist for the pages, or --on-demand")
		}
	}
	if named && k.Before(5, 16) {
		refuse("Linux "+strings.TrimSpace(k.Release)+" does not support nodes in hugepages=", "Linux 5.16 or later", "boot that, or name no node")
	}
	return findings
}

// planByHand is the plan where the user must change the command line.
func planByHand(h host.Host, k Kernel, boot booted, ours string) ([]hostprep.Finding, error) {
	lines := []cmdline.Line{{File: "/proc/cmdline", Text: k.Cmdline}}
	next, err := cmdline.ReadEntries(h, cmdline.GrubEntryDir) // as rpm-ostree has written them
	if err != nil || ours == "" {
		return nil, err
	}
	lines = append(lines, cmdline.Lines(next)...)
	wanted := k.Asks(ours)
	for _, l := range lines {
		there := k.Takes(l.Text)
		missing := func(p Pool) bool {
			return there.Pages[p] < wanted.Pages[p] && (p.Node >= 0 || there.Of(p.Size) < wanted.Pages[p])
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(wanted.Pages)), missing) && (len(wanted.Areas) == 0 || maps.Equal(there.Areas, wanted.Areas)) && (wanted.Default == 0 || there.Default == wanted.Default) && (there.Freed || !wanted.Freed) {
			return nil, nil
		}
	}
	if have, need, do := k.beside(lines[0].Text, ours); have != "" {
		return []hostprep.Finding{{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: "the kernel's command line" + have, Need: need, Do: do}}, nil
	}
	if later, err := h.ReadIfThere(cmdline.KernelInstall); err != nil {
		return nil, err
	} else if there := k.Asks(later); boot.product != "" && slices.ContainsFunc(k.Sizes, func(size pages.Size) bool { return wanted.Of(size) > 0 && there.Of(size) > 0 }) {
		return []hostprep.Finding{{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Need: ours, Do: boot.byHand("") + ", then run this again",
			Have: cmdline.KernelInstall + " has " + hugeWords(later) + " already, but this boot's command line does not: " + boot.product + " not been rebuilt, or not booted, since"}}, nil
	}
	f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Need: ours, Do: boot.byHand(ours),
		Have: "the kernel's command line has " + hugeWords(k.Cmdline) + ", and vmhuge can't change it here"}
	return []hostprep.Finding{f}, nil
}

// conflicts says where the kernel would not follow both ours and the other options on the
// command line.
func (k Kernel) conflicts(before, after booted, ours string) []hostprep.Finding {
	wanted := k.Asks(ours)
	var findings []hostprep.Finding
	files := map[string][]string{} // that have something against the need of a finding
	conflict := func(file, have, need, do string) {
		i := slices.IndexFunc(findings, func(f hostprep.Finding) bool { return f.Need == need })
		if i < 0 {
			findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: file + have, Need: need, Do: do})
		} else if !slices.Contains(files[need], file) {
			findings[i].Have = file + ", " + findings[i].Have
		}
		files[need] = append(files[need], file)
	}
	// sum asks for the options of one size to be put in one place, as the kernel uses only
	// the first of them.
	sum := func(file string, there Request, size pages.Size, do string) {
		total := options{pages: append(bootPagesOf(there, size), bootPagesOf(wanted, size)...)}.words(k.memory)
		conflict(file, fmt.Sprintf(" asks for %s", pages.Count(there.Of(size), size)),
			fmt.Sprintf("%s in one place, %d of them there and %d of vmhuge's: the kernel uses only the first hugepages= of a size",
				total, there.Of(size), wanted.Of(size)),
			fmt.Sprintf("%s, and ask for all of them: vmhuge prepare --persist --pages %d --size %s", do, there.Of(size)+wanted.Of(size), pages.SizeWord(size)))
	}
	news := after.lines(after.files)
	foreign := map[pages.Size]bool{}
	for i, old := range before.lines(before.files) {
		was, is := k.Asks(old.Text), k.Asks(news[i].Text)
		file := before.whoAsks(old.File)
		if have, need, do := k.beside(old.Text, ours); have != "" {
			conflict(file, have, need, do)
		}
		for _, size := range k.Sizes {
			foreign[size] = foreign[size] || was.Of(size) > 0
			switch want, of := bootPagesOf(wanted, size), bootPagesOf(is, size); {
			case cmdline.Ours(news[i].Text) != ours: // below
			case len(want) > 0 && was.Of(size) > 0:
				sum(file, was, size, "take them out there")
			case len(want) > 0 && !slices.Equal(of, want), len(want) == 0 && !slices.Equal(of, bootPagesOf(was, size)):
				conflict(file, " has "+hugeWords(old.Text), "a command line whose meaning does not change with "+ours+": a hugepages= without a size is for the default size",
					"write hugepagesz="+pages.SizeWord(cmp.Or(was.Default, k.Standard))+" before the first hugepages= there, if that is what it is for")
			}
		}
		if cmdline.Ours(news[i].Text) != ours {
			conflict(before.lastToSet(old.File), " overwrites the kernel's command line", "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT …\" there, which keeps "+ours,
				"change it there")
			continue
		}
		if wanted.Default != 0 && is.Default != wanted.Default {
			conflict(file, " has default_hugepagesz="+pages.SizeWord(is.Default), "default_hugepagesz="+pages.SizeWord(wanted.Default)+": the kernel uses only the first",
				"change it there")
		}
	}
	booted := k.Takes(cmdline.With(k.Cmdline, ""))
	for _, size := range k.Sizes {
		if wanted.Of(size) > 0 && booted.Of(size) > 0 && !foreign[size] {
			sum("/proc/cmdline", booted, size, "reboot if you have removed them already, or remove them where this boot got them from, which is not a file that vmhuge reads")
		}
	}
	return findings
}

// bootPagesOf lists what is asked for of a size, by node.
func bootPagesOf(r Request, size pages.Size) []PoolPages {
	var list []PoolPages
	for pool, n := range r.Pages {
		if pool.Size == size {
			list = append(list, PoolPages{size, n, pool.Node})
		}
	}
	slices.SortFunc(list, func(a, b PoolPages) int { return a.Node - b.Node })
	return list
}

var hugeWord = lazyregexp.New(`(?:^|[\s"'])((?:(?:default_)?hugepages[z]?|hugetlb_cma|hugetlb_free_vmemmap)=[^\s"']*)`)

// hugeWords returns the words for huge pages on a command line.
func hugeWords(line string) string {
	var words []string
	for _, m := range hugeWord.Get().FindAllStringSubmatch(line, -1) {
		words = append(words, m[1])
	}
	if len(words) == 0 {
		return "no huge pages"
	}
	return strings.Join(words, " ")
}
