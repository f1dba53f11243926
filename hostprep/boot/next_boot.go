package boot

import (
	"cmp"
	"slices"
	"strings"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// Coming is a number of pages for which the next boot's command line asks, and this one's
// does not.
type Coming struct {
	Where string // the file that the next boot reads
	From  string // the file that this is from, where it is made from another
	Size  pages.Size
	Pages int64  // that it asks for
	Now   int64  // that this boot's command line asks for
	First string // what has to be run before the next boot for that; "": nothing
}

// NextBoot lists what the next boot will have by the boot loader's files and tuned's active
// profile, vmhuge's own options aside. What it will have no more is not among it: a boot may
// have its command line from elsewhere.
func NextBoot(h host.Host) ([]Coming, error) {
	return host.Once(h, cacheKey("next boot"), func() ([]Coming, error) { return nextBoot(h) })
}

type cacheKey string

// reservedNext is how many pages of each size the kernel's command line reserves, apart from
// vmhuge: this boot's, or the next one's where it asks for more.
func (k Kernel) reservedNext(h host.Host) (map[pages.Size]int64, error) {
	reserved := map[pages.Size]int64{}
	now := k.Takes(withoutOurs(k.Cmdline))
	for _, size := range k.Sizes {
		reserved[size] = now.Of(size)
	}
	coming, err := NextBoot(h)
	for _, c := range coming {
		reserved[c.Size] = c.Pages
	}
	return reserved, err
}

func nextBoot(h host.Host) ([]Coming, error) {
	k, err := ReadKernel(h)
	if err != nil {
		return nil, err
	}
	sources, err := nextLines(h)
	if err != nil {
		return nil, err
	}
	var all []Coming
	now := k.Takes(withoutOurs(k.Cmdline))
	for _, size := range k.Sizes {
		asks := func(s source) bool { return k.asksAll(s.lines, size) > now.Of(size) }
		i := slices.IndexFunc(sources, asks)
		if i < 0 {
			continue
		}
		c := Coming{Where: sources[i].where(size, k), Size: size, Pages: k.asksAll(sources[i].lines, size), Now: now.Of(size), First: sources[i].first}
		c.From = c.Where
		if made := slices.IndexFunc(sources[i+1:], asks); made >= 0 {
			c.From = sources[i+1+made].where(size, k)
		}
		all = append(all, c)
	}
	return all, nil
}

// source is what command lines may be made from; the next boot has one of them.
type source struct {
	lines []cmdline.Line
	first string // as in Coming
	from  func(line cmdline.Line) string
	// whoHas is the file that has a word of a line; nil: the line's own.
	whoHas func(line cmdline.Line, word string) string
	remade string // by what its file is made from others; "": it is not
}

// NextLine is a command line that the boot loader's files or tuned's active profile have for a
// boot to come.
type NextLine struct {
	Text  string
	After string                   // what has to be run when its file has been changed; "": nothing
	Made  bool                     // from the files of those before it
	From  func(word string) string // the file that has a word of it
}

// NextLines lists them.
func NextLines(h host.Host) ([]NextLine, error) {
	sources, err := nextLines(h)
	var all []NextLine
	for _, s := range slices.Backward(sources) {
		for _, l := range s.lines {
			from := func(string) string { return l.File }
			if s.whoHas != nil {
				from = func(word string) string { return s.whoHas(l, word) }
			}
			all = append(all, NextLine{l.Text, cmp.Or(s.first, s.remade), s.remade != "", from})
		}
	}
	return all, err
}

// where is the file that asks for pages of a size.
func (s source) where(size pages.Size, k Kernel) string {
	i := slices.IndexFunc(s.lines, func(l cmdline.Line) bool { return k.Takes(withoutOurs(l.Text)).Of(size) > 0 })
	return s.from(s.lines[max(i, 0)])
}

// asksAll is how many pages of a size all of the lines ask for.
func (k Kernel) asksAll(lines []cmdline.Line, size pages.Size) int64 {
	var counts []int64
	for _, l := range lines {
		counts = append(counts, k.Takes(withoutOurs(l.Text)).Of(size))
	}
	if counts == nil {
		return 0
	}
	return slices.Min(counts)
}

// nextLines are the sources of the next boot's command line, the one that it reads first.
func nextLines(h host.Host) ([]source, error) {
	loader, err := findLoader(h)
	if err != nil {
		return nil, err
	}
	var sources []source
	file := func(l cmdline.Line) string { return l.File }
	made, err := cmdline.ReadGrubMenu(h)
	if err != nil {
		return nil, err
	}
	remake := ""
	if loader.name == grub.name && made != nil {
		remake = "update-grub"
		if strings.Contains(made[0].File, "grub2") {
			remake = "grub2-mkconfig -o " + made[0].File
		}
		sources = append(sources, source{lines: made, from: file, remade: remake})
	}
	if loader.byHand == nil && loader.lines != nil {
		lines := loader.lines(loader.files)
		isEntry := func(l cmdline.Line) bool { return cmdline.InEntries(l.File) }
		if slices.ContainsFunc(lines, isEntry) { // the others are for the entries of new kernels
			lines = slices.DeleteFunc(slices.Clone(lines), func(l cmdline.Line) bool { return !isEntry(l) })
		}
		sources = append(sources, source{lines: lines, first: remake, from: func(l cmdline.Line) string { return loader.whoAsks(l.File) },
			whoHas: func(l cmdline.Line, word string) string {
				return loader.whoHas(l.File, func(text string) bool { return strings.Contains(text, word) })
			}})
	}
	profile, err := tunedCmdline(h)
	if err == nil && profile.Text != "" {
		sources = append(sources, source{lines: []cmdline.Line{profile}, first: "systemctl restart tuned", from: file})
	}
	return sources, err
}

// tunedCmdline is what tuned's active profile adds to the kernel's command line; tuned has GRUB
// do so when the profile becomes active.
//
//	[bootloader]
//	cmdline_vms = +default_hugepagesz=1G hugepages=16
//
// Source: tuned/plugins/plugin_bootloader.py.
func tunedCmdline(h host.Host) (cmdline.Line, error) {
	settings, _, err := tunedSettings(h)
	var line cmdline.Line
	var words []string
	by := map[string]Setting{}
	var order []string
	for _, s := range settings {
		if !strings.HasPrefix(s.Name, inBootloader) {
			continue
		}
		if _, again := by[s.Name]; !again {
			order = append(order, s.Name)
		}
		by[s.Name] = s
	}
	if isTrue(by[inBootloader+"skip_grub_config"].Value) {
		return line, err
	}
	slices.Sort(order)
	for _, name := range order {
		s := by[name]
		if !strings.HasPrefix(name, inBootloader+"cmdline") {
			continue
		}
		value := strings.Trim(s.Value, `"`)
		taken, takes := strings.CutPrefix(value, "-")
		for _, word := range strings.Fields(strings.TrimLeft(taken, "+\\")) {
			switch {
			case takes:
				words = slices.DeleteFunc(words, func(w string) bool { return w == word })
			case !strings.Contains(word, "$"): // what a variable of tuned's stands for is not known here
				words = append(words, word)
				if namesHugePages(word) {
					line.File = s.Where
				}
			}
		}
	}
	line.Text = strings.Join(words, " ")
	return line, err
}

// inBootloader begins the names of settings of tuned's section [bootloader].
const inBootloader = "[bootloader]"

func isTrue(value string) bool {
	return slices.Contains([]string{"1", "true", "yes", "on"}, strings.ToLower(value))
}
