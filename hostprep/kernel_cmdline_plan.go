package hostprep

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"vmhuge/internal/pages"
)

// bootKernel is what must be known of the kernel to read its command line.
type bootKernel struct {
	sizes    []pages.Size // that it can have, smallest first
	standard pages.Size   // that it takes where none is named
	nodes    []int        // that are online
	release  string       // of the one that runs; "": not known
	cmdline  string       // of the one that runs
	cpu      CPU
}

func (h Host) bootKernel() (k bootKernel, err error) {
	state, err := h.Pools()
	if err != nil {
		return k, err
	}
	k.sizes = state.Sizes()
	if k.cpu, err = h.CPU(); err != nil {
		return k, err
	}
	// Kernels that cannot make pages of 1 GiB while they run do not list them
	// unless they were asked for.
	if k.cpu.PDPE1GB && !slices.Contains(k.sizes, pages.Size1GiB) {
		k.sizes = append(k.sizes, pages.Size1GiB)
	}
	nodes, err := h.Nodes()
	if err != nil {
		return k, err
	}
	for _, n := range nodes {
		k.nodes = append(k.nodes, n.ID)
	}
	mem, err := h.Meminfo()
	if err != nil {
		return k, err
	}
	if k.release, err = h.readIfThere("/proc/sys/kernel/osrelease"); err != nil {
		return k, err
	}
	if k.cmdline, err = h.readIfThere("/proc/cmdline"); err != nil {
		return k, err
	}
	k.cmdline = strings.TrimSpace(k.cmdline)
	k.standard = mem.HugePageSize
	if k.takes(k.cmdline).Default != 0 { // then it is not what meminfo says
		k.standard, err = h.thpSize()
	}
	return k, err
}

func (k bootKernel) takes(line string) bootRequest {
	return parseKernelCmdline(line, k.standard, func(size pages.Size) bool { return slices.Contains(k.sizes, size) })
}

// kernelCmdlinePlan returns what makes exactly these pages ours on the kernel's
// command line from the next boot on, and this its default size; none and 0: what
// is ours is taken out. There are no findings where it is so already. What others
// have put there stays as it is, and where ours would change what it means, or the
// kernel would not heed ours, that is a blocker without changes.
func (h Host) kernelCmdlinePlan(want []bootPages, defaultSize pages.Size) ([]Finding, error) {
	want = slices.DeleteFunc(slices.Clone(want), func(w bootPages) bool { return w.Pages <= 0 })
	k, err := h.bootKernel()
	if err != nil {
		return nil, err
	}
	if refused := k.refuse(want, defaultSize); len(refused) > 0 {
		return refused, nil
	}
	boot, err := h.bootLoader()
	if err != nil {
		return nil, err
	}
	if boot.byHand != nil {
		return h.planByHand(k, boot, bootOptions(want, k.nodes, defaultSize))
	}
	before, err := boot.with("")
	if err != nil {
		return nil, err
	}
	sameDefault := func(l bootLine) bool { return k.takes(l.line).Default == defaultSize }
	if !slices.ContainsFunc(before.lines(before.files), func(l bootLine) bool { return !sameDefault(l) }) {
		defaultSize = 0 // somebody else has seen to it
	}
	ours := bootOptions(want, k.nodes, defaultSize)
	after, err := boot.with(ours)
	if err != nil {
		return []Finding{{Severity: Blocker, Verdict: BadHost, Have: err.Error(), Need: orNothing(ours),
			Do: "mend that, or put it on the command line yourself, and reboot"}}, nil
	}
	if conflicts := k.conflicts(before, after, ours); len(conflicts) > 0 {
		return conflicts, nil
	}
	changes, err := h.bootChanges(boot, ours)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	next := boot.lines(boot.files)
	line := next[max(0, slices.IndexFunc(next, func(l bootLine) bool { return oursOn(l.line) != ours }))].line
	f := Finding{Severity: Blocker, Verdict: BadHost, Fixable: true, Changes: changes,
		Have: "at the next boot the kernel's command line has " + hugeWords(line),
		Need: ours, Do: "vmhuge prepare --persist puts it there; then reboot"}
	if ours == "" {
		f.Need, f.Do = "none of vmhuge's", "vmhuge undo takes them out"
	}
	return []Finding{f}, nil
}

// refuse says what a kernel like the one that runs can not be asked for.
func (k bootKernel) refuse(want []bootPages, defaultSize pages.Size) []Finding {
	var findings []Finding
	refuse := func(have, need, do string) {
		f := Finding{Severity: Blocker, Verdict: BadHost, Have: have, Need: need, Do: do}
		if !slices.ContainsFunc(findings, func(other Finding) bool { return other.Need == need }) {
			findings = append(findings, f)
		}
	}
	named := false
	for _, w := range append(want, bootPages{Size: defaultSize, Node: -1}) {
		named = named || w.Node >= 0
		if w.Size != 0 && !slices.Contains(k.sizes, w.Size) {
			have := "the kernel has no huge pages"
			do := "boot a kernel with CONFIG_HUGETLBFS"
			if len(k.sizes) > 0 {
				have, do = "the kernel has pages of "+joinSizes(k.sizes), "take pages of one of these sizes"
			}
			if k.cpu.Known && w.Size == pages.Size1GiB {
				have += ", and the processor cannot map 1 GiB"
			}
			refuse(have, "pages of "+w.Size.String(), do)
		}
		if w.Node >= 0 && !slices.Contains(k.nodes, w.Node) {
			refuse("the host has node "+pages.FormatNodes(k.nodes), fmt.Sprintf("node %d", w.Node), "name a node that is there, or none")
		}
	}
	var major, minor int
	if _, err := fmt.Sscanf(k.release, "%d.%d", &major, &minor); named && err == nil && (major < 5 || major == 5 && minor < 16) {
		refuse("Linux "+strings.TrimSpace(k.release)+" takes no nodes in hugepages=", "Linux 5.16 or later", "boot that, or leave the node open")
	}
	return findings
}

// planByHand is the plan where the user must change the command line.
func (h Host) planByHand(k bootKernel, boot bootLoader, ours string) ([]Finding, error) {
	lines := []bootLine{{"/proc/cmdline", k.cmdline}}
	next, err := h.readEntries(grubEntryDir) // as rpm-ostree has written them
	if err != nil || ours == "" {
		return nil, err
	}
	lines = append(lines, entryLines(next)...)
	wanted := k.takes(ours)
	for _, l := range lines {
		there := k.takes(l.line)
		missing := func(p bootPool) bool {
			return there.Pages[p] < wanted.Pages[p] && (p.node >= 0 || there.of(p.size) < wanted.Pages[p])
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(wanted.Pages)), missing) && (wanted.Default == 0 || there.Default == wanted.Default) {
			return nil, nil
		}
	}
	f := Finding{Severity: Blocker, Verdict: BadHost, Need: ours, Do: boot.byHand(ours),
		Have: "the kernel's command line has " + hugeWords(k.cmdline) + ", and is not vmhuge's to change"}
	return []Finding{f}, nil
}

// conflicts says where ours and what others have put on the command line would
// not both be heeded.
func (k bootKernel) conflicts(before, after bootLoader, ours string) []Finding {
	wanted := k.takes(ours)
	var findings []Finding
	conflict := func(file, have, need, do string) {
		i := slices.IndexFunc(findings, func(f Finding) bool { return f.Need == need })
		if i < 0 {
			findings = append(findings, Finding{Severity: Blocker, Verdict: BadHost, Have: file + have, Need: need, Do: do})
		} else if !strings.Contains(findings[i].Have, file) {
			findings[i].Have = file + ", " + findings[i].Have
		}
	}
	// sum says what must stand in one place where the kernel heeds one alone.
	sum := func(file string, there bootRequest, size pages.Size, do string) {
		total := bootOptions(append(bootPagesOf(there, size), bootPagesOf(wanted, size)...), k.nodes, 0)
		conflict(file, fmt.Sprintf(" asks for %s", count(there.of(size), size)),
			fmt.Sprintf("%s in one place, %d of them there and %d of vmhuge's: the kernel heeds the first hugepages= of a size alone",
				total, there.of(size), wanted.of(size)),
			fmt.Sprintf("%s, and ask for all of them: vmhuge prepare --persist --pages %d --size %s", do, there.of(size)+wanted.of(size), sizeWord(size)))
	}
	news := after.lines(after.files)
	foreign := map[pages.Size]bool{}
	for i, old := range before.lines(before.files) {
		was, is := k.takes(old.line), k.takes(news[i].line)
		file := before.whoAsks(old.file)
		for _, size := range k.sizes {
			foreign[size] = foreign[size] || was.of(size) > 0
			switch want, of := bootPagesOf(wanted, size), bootPagesOf(is, size); {
			case oursOn(news[i].line) != ours: // below
			case len(want) > 0 && was.of(size) > 0:
				sum(file, was, size, "take them out there")
			case len(want) > 0 && !slices.Equal(of, want), len(want) == 0 && !slices.Equal(of, bootPagesOf(was, size)):
				conflict(file, " has "+hugeWords(old.line), "what stays the same beside "+ours+": a hugepages= without a size is for the default",
					"write hugepagesz= before each hugepages= there")
			}
		}
		if oursOn(news[i].line) != ours {
			conflict(before.lastToSet(old.file), " sets the kernel's command line anew", "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT …\" there, which keeps "+ours,
				"change it there")
			continue
		}
		if wanted.Default != 0 && is.Default != wanted.Default {
			conflict(file, " has default_hugepagesz="+sizeWord(is.Default), "default_hugepagesz="+sizeWord(wanted.Default)+": the kernel heeds the first alone",
				"change it there")
		}
	}
	booted := k.takes(withOurs(k.cmdline, ""))
	for _, size := range k.sizes {
		if wanted.of(size) > 0 && booted.of(size) > 0 && !foreign[size] {
			sum("/proc/cmdline", booted, size, "reboot, if you have taken them out, or take them out where this boot got them from, which is no file that vmhuge reads")
		}
	}
	return findings
}

// bootPagesOf lists what is asked for of a size, by node.
func bootPagesOf(r bootRequest, size pages.Size) []bootPages {
	var list []bootPages
	for pool, n := range r.Pages {
		if pool.size == size {
			list = append(list, bootPages{size, n, pool.node})
		}
	}
	slices.SortFunc(list, func(a, b bootPages) int { return a.Node - b.Node })
	return list
}

var hugeWord = regexp.MustCompile(`(?:^|[\s"'])((?:default_)?hugepages[z]?=[^\s"']*)`)

// hugeWords returns the words for huge pages on a command line.
func hugeWords(line string) string {
	var words []string
	for _, m := range hugeWord.FindAllStringSubmatch(line, -1) {
		words = append(words, m[1])
	}
	if len(words) == 0 {
		return "no huge pages"
	}
	return strings.Join(words, " ")
}

// whoAsks returns the file that has the options of a line: that of the line, or
// one that it is made from.
func (b bootLoader) whoAsks(file string) string {
	asks := func(f loaderFile) bool {
		for line := range strings.Lines(f.text) {
			if !f.own && !strings.HasPrefix(strings.TrimSpace(line), "#") && hugeWord.MatchString(line) {
				return true
			}
		}
		return false
	}
	i := slices.IndexFunc(b.files, func(f loaderFile) bool { return f.path == file && asks(f) })
	if i < 0 {
		i = slices.IndexFunc(b.files, asks)
	}
	if i < 0 {
		return file
	}
	return b.files[i].path
}

// lastToSet returns the last of the files that sets GRUB's variable.
func (b bootLoader) lastToSet(file string) string {
	for _, f := range b.files {
		if !f.own && strings.Contains(f.text, "GRUB_CMDLINE_LINUX_DEFAULT=") {
			file = f.path
		}
	}
	return file
}

// with returns the boot loader's files with ours on the command line.
func (b bootLoader) with(ours string) (bootLoader, error) {
	b.files = slices.Clone(b.files)
	for i, f := range b.files {
		var err error
		switch {
		case f.own && ours == "":
			b.files[i].text = ""
		case f.own:
			b.files[i].text = grubOwn(ours)
		case f.edited:
			b.files[i].text, err = putOurs(f.path, f.text, ours)
		}
		if err != nil && ours != "" {
			return b, err
		}
	}
	return b, nil
}

// bootChanges are the changes that put ours on the command line.
func (h Host) bootChanges(boot bootLoader, ours string) ([]Change, error) {
	var changes []Change
	for _, f := range boot.files {
		if f.own {
			own, err := h.ownBootFile(f, ours)
			if err != nil {
				return nil, err
			}
			changes = append(changes, own...)
			continue
		}
		has, err := oursIn(f.path, f.text)
		if !f.edited || err != nil || has == ours {
			continue
		}
		c := Change{Kind: KindKernelArgs, Path: f.path, From: has, To: ours}
		if strings.HasSuffix(f.path, ".conf") {
			c.Path = path.Dir(f.path)
		}
		if !slices.Contains(changes, c) {
			changes = append(changes, c)
		}
	}
	return changes, nil
}

// ownBootFile makes our file, and its folder, or removes it.
func (h Host) ownBootFile(f loaderFile, ours string) ([]Change, error) {
	var changes []Change
	dir, err := h.lstat(path.Dir(f.path))
	if err != nil {
		return nil, err
	}
	c := Change{Kind: KindFile, Path: f.path}
	if dir == nil && ours != "" {
		changes = append(changes, Change{Kind: KindMkdir, Path: path.Dir(f.path), To: "0755 0:0"})
	} else if dir != nil {
		if c.From, err = h.look(KindFile, f.path); err != nil {
			return nil, err
		}
	}
	if ours != "" {
		c.To = "0644 0:0\n" + grubOwn(ours)
		if head, _, ok := strings.Cut(c.From, "\n"); ok {
			c.To = head + "\n" + grubOwn(ours)
		}
	}
	if c.From == c.To {
		return nil, nil
	}
	return append(changes, c), nil
}
