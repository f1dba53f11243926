package slips

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
)

// hugeOptions are the kernel's options that have "huge" in their names, with _ for
// - as the kernel compares them (Documentation/admin-guide/kernel-parameters.txt).
var hugeOptions = []string{
	"hugepages", "hugepagesz", "default_hugepagesz", "hugetlb_cma", "hugetlb_cma_only", "hugetlb_free_vmemmap", "hugepage_alloc_threads",
	"transparent_hugepage", "transparent_hugepage_shmem", "transparent_hugepage_tmpfs", "nohugeiomap", "nohugevmalloc", "nohugepages",
}

// meantOptions are what people write for another option.
var meantOptions = map[string]string{
	"hugepage": "hugepages", "nr_hugepages": "hugepages", "hugepages_nr": "hugepages", "hugepagescount": "hugepages", "vm.nr_hugepages": "hugepages",
	"hugepagesize": "hugepagesz", "hugepage_size": "hugepagesz", "hugepagessz": "hugepagesz", "hugepagesizes": "hugepagesz", "hugepages_sz": "hugepagesz",
	"hugepagessize": "hugepagesz", "hugepages_size": "hugepagesz", "hugepage_sz": "hugepagesz", "hugepagez": "hugepagesz",
	"default_hugepages": "default_hugepagesz", "default_hugepagesize": "default_hugepagesz", "default_hugepage_size": "default_hugepagesz", "default_hugepagez": "default_hugepagesz",
	"default_hugepagessz": "default_hugepagesz", "default_hugepages_size": "default_hugepagesz", "hugepagesz_default": "default_hugepagesz",
	"transparent_hugepages": "transparent_hugepage", "transparent_huge_page": "transparent_hugepage", "transparent_huge_pages": "transparent_hugepage", "transparenthugepage": "transparent_hugepage",
}

// kernel is the one that reads the command line.
type kernel struct {
	boot.Kernel
	room room
}

// OnCmdline finds the words on the kernel's command line, this boot's and the next one's, that ask
// for huge pages in vain: misspelled, in the wrong order, said twice, or handed to init.
func OnCmdline(h host.Host) ([]Slip, error) {
	k, err := boot.ReadKernel(h)
	if err != nil {
		return nil, err
	}
	room, err := readRoom(h)
	if err != nil {
		return nil, err
	}
	booted := kernel{k, room}.slips()
	lines, err := boot.NextLines(h)
	var next []Slip
	for _, line := range lines {
		k.Cmdline = line.Text
		var of []Slip
		for _, s := range (kernel{k, room}).slips() {
			s.Where, s.After = line.From(s.Word), line.After
			if !slices.ContainsFunc(next, func(n Slip) bool { return s.same(n) && (line.Made || s.Where == n.Where) }) {
				of = append(of, s)
			}
		}
		next = append(next, of...)
	}
	booted = slices.DeleteFunc(booted, func(s Slip) bool { return slices.ContainsFunc(next, s.same) })
	return append(booted, next...), err
}

// same says that another slip is the same word with the same effect.
func (s Slip) same(other Slip) bool { return s.Word == other.Word && s.Why == other.Why }

func (k kernel) slips() []Slip {
	words := boot.KernelWords(k.Cmdline)
	// A count before any size is for the default size, wherever on the line that is set.
	unnamed := k.Standard
	for _, word := range words {
		name, sep, value := splitOption(word)
		if _, wrong := k.wrongValue(word, name, value, 0); name == "default_hugepagesz" && sep == "=" && !wrong {
			unnamed = pages.Memparse(value)
			break
		}
	}
	var found []correction
	counted := unnamed  // the size that a count is for here
	sizeBefore := false // a wrong word that was meant to be that size
	for i, word := range words {
		name, sep, value := splitOption(word)
		slip, wrong := k.misspelled(word, counted)
		c := correction{slip, i, i}
		if wrong {
			if !slices.Contains(hugeOptions, name) || sep != "=" {
				c.Why += countBehind(words, i, slip.Right, counted)
			}
			c = k.withCountBehind(c, words)
			found = append(found, c)
			sizeBefore = countBehind(words, i, slip.Right, 1) != ""
		} else if sizeBefore && name == "hugepages" {
			sizeBefore = false // what becomes of this count is said there
		} else if slip, ok := k.outOfOrder(words, i, unnamed); ok {
			found = append(found, correction{slip, i, i})
		}
		if sep == "=" && (name == "hugepagesz" || name == "default_hugepagesz") {
			if counted = pages.Memparse(value); wrong {
				counted = 0 // the kernel ignores the count that follows
			}
		}
	}
	_, forInit, _ := strings.Cut(" "+k.Cmdline+" ", " -- ")
	for _, word := range strings.Fields(forInit) {
		if option, _, _ := splitOption(word); slices.Contains(hugeOptions, option) || meantOptions[option] != "" {
			at := len(words) // as if it were the last
			words = append(words, "")
			found = append(found, correction{Slip{Word: word, Why: "comes after --, so that the kernel passes it to init", Right: word + " before the --"}, at, at})
		}
	}
	k.fit(words, found)
	var all []Slip
	for _, c := range found {
		c.In = Cmdline
		all = append(all, c.Slip)
	}
	return all
}

// ignores says that a count changes nothing beside those before it.
func (k kernel) ignores(words []string, i int) bool {
	isCount := func(word string) bool { name, sep, _ := splitOption(word); return name == "hugepages" && sep == "=" }
	_, _, count := splitOption(words[i])
	if !slices.ContainsFunc(words[:i], isCount) || strings.Trim(count, "0,:") == "" {
		return false
	}
	for j := i - 1; j >= 0; j-- {
		if isCount(words[j]) {
			break
		}
		if name, _, _ := splitOption(words[j]); name == "hugepagesz" {
			if _, again := k.outOfOrder(words, j, k.Standard); again {
				return false // it is said of the size
			}
			break
		}
	}
	with, without := k.Asks(strings.Join(words[:i+1], " ")), k.Asks(strings.Join(words[:i], " "))
	return maps.Equal(with.Pages, without.Pages)
}

// countBehind is what the i-th word, which is not the size that it was meant to be, does to the
// count behind it; "": there is none, or it is ignored as well. counted is the size that it
// is for.
func countBehind(words []string, i int, meant string, counted pages.Size) string {
	if option, _, _ := strings.Cut(meant, "="); option != "hugepagesz" && option != "default_hugepagesz" {
		return ""
	}
	// next is the first word about a count or a size, from one on in steps of 1 or -1.
	next := func(from, step int) (name, value string) {
		for k := from; k >= 0 && k < len(words); k += step {
			if name, sep, value := splitOption(words[k]); sep == "=" && slices.Contains([]string{"hugepages", "hugepagesz", "default_hugepagesz"}, name) {
				return name, value
			}
		}
		return "", ""
	}
	name, value := next(i+1, 1)
	switch before, _ := next(i-1, -1); {
	case name != "hugepages" || counted == 0:
		return ""
	case before == "hugepages":
		return fmt.Sprintf(", as it does hugepages=%s after it, then a second count for pages of %s", value, counted)
	}
	return fmt.Sprintf(", and takes hugepages=%s after it for pages of %s", value, counted)
}

var optionEnd = lazyregexp.New(`[=:]`)

// splitOption splits hugepages=4 and hugepages:4; sep is "" where there is neither.
func splitOption(word string) (name, sep, value string) {
	at := optionEnd.Get().FindStringIndex(word)
	if at == nil {
		return strings.ReplaceAll(word, "-", "_"), "", ""
	}
	return strings.ReplaceAll(word[:at[0]], "-", "_"), word[at[0]:at[1]], strings.Trim(word[at[1]:], `"`)
}

// misspelled is about one word. counted is the size that a count in its place is for.
func (k kernel) misspelled(word string, counted pages.Size) (Slip, bool) {
	name, sep, value := splitOption(word)
	lower := strings.ToLower(name)
	meant := cmp.Or(meantOptions[lower], meantOptions[strings.ReplaceAll(lower, "hugh", "huge")], oneLetterOff(lower))
	if key, ok := strings.CutPrefix(strings.ReplaceAll(lower, "/", "."), "sysctl."); ok {
		if slip, wrong := wrongSetting(key, value, k.DefaultSize()); wrong && slip.Right != "" {
			return Slip{Word: word, Why: slip.Why, Right: "sysctl." + strings.ReplaceAll(slip.Right, " = ", "=")}, true
		}
	}
	switch {
	case meant == "" && name != lower && slices.Contains(hugeOptions, lower):
		meant = lower
	case meant == "" && sep == ":" && slices.Contains(hugeOptions, name):
		return Slip{Word: word, Why: "has a : where the kernel wants =, so that the kernel ignores it", Right: name + "=" + inPages(name, value, counted)}, true
	}
	if meant != "" {
		right := meant + "=" + inPages(meant, value, counted)
		if lower == "vm.nr_hugepages" {
			right += ", or sysctl.vm.nr_hugepages=" + rightCount(value, k.DefaultSize())
		}
		return Slip{Word: word, Why: "is not an option of the kernel, which ignores it", Right: right}, true
	}
	return k.wrongValue(word, name, value, counted)
}

// inPages is the value of an option as the kernel reads it: of hugepages= a count.
func inPages(option, value string, counted pages.Size) string {
	if option != "hugepages" {
		return value
	}
	return rightCount(value, counted)
}

// outOfOrder is about the i-th word beside the others. unnamed is the size that a count
// before any size is for.
func (k kernel) outOfOrder(words []string, i int, unnamed pages.Size) (Slip, bool) {
	name, sep, value := splitOption(words[i])
	if sep != "=" {
		return Slip{}, false
	}
	// find looks for an option, from a word on in steps of 1 or -1.
	find := func(from, step int, names ...string) (option, value string) {
		for k := from; k >= 0 && k < len(words); k += step {
			if option, sep, value := splitOption(words[k]); sep == "=" && slices.Contains(names, option) {
				return option, value
			}
		}
		return "", ""
	}
	switch name {
	case "hugepages":
		before, first := find(i-1, -1, "hugepages", "hugepagesz", "default_hugepagesz")
		after, size := find(i+1, 1, "hugepages", "hugepagesz", "default_hugepagesz")
		_, then := find(i+1, 1, "hugepages")
		switch {
		case before == "hugepages":
			right := ""
			if strings.Contains(first, ":") && strings.Contains(value, ":") {
				right = "hugepages=" + first + "," + value
			}
			return Slip{Word: words[i], Why: "is a second count for one page size, of which the kernel takes the first", Right: right}, true
		case before == "" && after == "hugepagesz" && then == "" && pages.Memparse(size) != unnamed:
			return Slip{Word: words[i], Why: fmt.Sprintf("comes before hugepagesz=%s, so that the kernel takes it for pages of %s", size, unnamed),
				Right: "hugepagesz=" + size + " " + words[i], early: true}, true
		case k.ignores(words, i):
			return Slip{Word: words[i], Why: "is ignored by the kernel, which has a count for pages of that size from an earlier hugepages="}, true
		}
	case "transparent_hugepage":
		if _, last := find(len(words)-1, -1, name); last != value && slices.Contains(thpModes, last) {
			return Slip{Word: words[i], Why: "is overridden by transparent_hugepage=" + last + ", which comes later"}, true
		}
	case "default_hugepagesz":
		if option, first := find(i-1, -1, "default_hugepagesz"); option != "" {
			return Slip{Word: words[i], Why: "comes after default_hugepagesz=" + first + ", and the kernel takes the first", Right: ""}, true
		}
	case "hugepagesz":
		for k := range i {
			option, _, earlier := splitOption(words[k])
			if next, _ := find(k+1, 1, "hugepages", "hugepagesz"); option == "hugepagesz" && pages.Memparse(earlier) == pages.Memparse(value) && next == "hugepages" {
				return Slip{Word: words[i], Why: "names a size a second time, and the kernel takes only the first count", Right: ""}, true
			}
		}
	case "hugetlb_cma":
		asked := k.Asks(k.Cmdline)
		if n := asked.Of(k.Gigantic()); n > 0 && k.Skips(asked) {
			return Slip{Word: words[i], Why: fmt.Sprintf("is combined with hugepages= for %s, which makes the kernel skip the pages of that size at boot", pages.Count(n, k.Gigantic())),
				Right: "one of the two: leave hugetlb_cma= out to reserve the pages at boot"}, true
		}
	case "hugetlb_cma_only":
		switch asked := k.Asks(k.Cmdline); {
		case asked.FromArea && !k.Since(6, 15):
			return Slip{Word: words[i], Why: "is an option of Linux 6.15 and later, so that this kernel ignores it"}, true
		case asked.FromArea && asked.Area() == 0:
			return Slip{Word: words[i], Why: "does nothing without an area", Right: words[i] + " together with hugetlb_cma=, or neither"}, true
		}
	}
	return Slip{}, false
}
