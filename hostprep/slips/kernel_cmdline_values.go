package slips

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"vmhuge/hostprep/boot"
	"vmhuge/internal/nearest"
	"vmhuge/internal/pages"
)

// thpModes are the values of transparent_hugepage=.
var thpModes = []string{"always", "madvise", "never"}

// meantModes are what people write for one of these.
var meantModes = map[string]string{"on": "always", "1": "always", "enabled": "always", "yes": "always", "advise": "madvise", "off": "never", "0": "never", "disabled": "never", "disable": "never", "no": "never", "none": "never"}

// wrongValue is about the value of an option that the kernel has. counted is the size that
// a count in this place is for; 0: not known.
func (k kernel) wrongValue(word, name, value string, counted pages.Size) (Slip, bool) {
	slip := func(why, right string) (Slip, bool) { return Slip{Word: word, Why: why, Right: right}, true }
	switch name {
	case "hugepages":
		parts := []string{"0:" + strings.TrimSuffix(value, ",")} // one count for all nodes: the kernel reads no further
		if strings.Contains(value, ":") {
			parts = strings.Split(strings.TrimSuffix(value, ","), ",")
		}
		if first, _, byNode := strings.Cut(value, ":"); byNode && k.Before(5, 16) {
			return slip(fmt.Sprintf("names nodes, which the kernel supports since 5.16: this one reads %s pages", first), "hugepages=N, a number of pages for all nodes")
		}
		for _, part := range parts {
			node, count, ok := strings.Cut(part, ":")
			if !ok {
				return slip("has a count without a node among those with one, so that the kernel reserves nothing for it", "hugepages=NODE:N,NODE:N")
			}
			id, err := strconv.ParseUint(node, 10, 16)
			if err != nil {
				return slip(fmt.Sprintf("names the node %q, so that the kernel reserves nothing for it", node), "hugepages=NODE:N, both numbers")
			}
			if strings.Contains(value, ":") && !k.Online(int(id)) {
				return k.missingNode(word, parts, int(id)), true
			}
			if digits := leadingNumber.Get().FindString(count); digits == "" {
				return slip("has no count, so that the kernel reserves nothing for it", "hugepages=N, a number of pages")
			} else if n, err := strconv.ParseUint(count, 0, 62); err == nil && strings.HasPrefix(strings.ToLower(count), "0x") {
				return slip("is hexadecimal, which the kernel does not read here: it reads 0 pages", "hugepages="+strings.Replace(value, count, strconv.FormatUint(n, 10), 1))
			} else if digits != count {
				return k.wrongCount(word, strings.TrimSuffix(value, ","), counted), true
			}
		}
	case "hugepagesz", "default_hugepagesz":
		if size, rest, more := strings.Cut(value, ","); more && strings.Contains(rest, "=") {
			return slip("has two options in one word, of which the kernel reads only the size", name+"="+size+" "+rest)
		}
		const onS390x = pages.Size(pages.MiB) // where it is the standard size, and nowhere else a size
		right := name + "=" + sizeMeant(value, k.Sizes)
		switch size := pages.Memparse(value); {
		case !slices.Contains(pages.HugeSizes("", false), size) || size == onS390x && k.Standard != onS390x:
			return slip("names a size that this kernel can't have: a number without K, M or G counts bytes", right)
		case len(k.Sizes) > 0 && !slices.Contains(k.Sizes, size) && name == "hugepagesz":
			return slip("names a size that this kernel does not have, so that it ignores that and the count after it", right)
		case len(k.Sizes) > 0 && !slices.Contains(k.Sizes, size):
			return slip("names a size that this kernel does not have, so that its default stays "+k.Standard.String(), right)
		}
	case "hugetlb_cma":
		return k.wrongArea(word, value)
	case "transparent_hugepage":
		if !slices.Contains(thpModes, value) {
			lower := strings.ToLower(value)
			right := "transparent_hugepage=madvise, always or never"
			if mode := meantModes[lower]; mode != "" {
				right = "transparent_hugepage=" + mode
			} else if slices.Contains(thpModes, lower) {
				right = "transparent_hugepage=" + lower
			}
			return slip("is not one of always, madvise and never, so that the kernel ignores it", right)
		}
	}
	return Slip{}, false
}

// missingNode is about a count on a node that the host does not have: the kernel refuses the
// whole option (HugeTLB: Invalid hugepages parameter).
func (k kernel) missingNode(word string, parts []string, missing int) Slip {
	var there []string
	for _, part := range parts {
		node, _, _ := strings.Cut(part, ":")
		if id, err := strconv.Atoi(node); err == nil && k.Online(id) {
			there = append(there, part)
		}
	}
	right := "hugepages=" + strings.Join(there, ",")
	if len(there) == 0 {
		right = "hugepages=N, or NODE:N for node " + pages.FormatNodes(k.Nodes)
	}
	has := "this host does not have"
	if slices.Contains(boot.KernelWords(k.Cmdline), "numa=off") {
		has = "does not exist with numa=off"
		right = "hugepages=N, the sum of all nodes"
	}
	return Slip{Word: word, Why: fmt.Sprintf("names node %d, which %s, so that the kernel refuses the whole option and reserves none of its pages", missing, has), Right: right}
}

// oneLetterOff is the option that a word is one letter away from, such as hugepagsz; ""
// for what is an option itself, or far from all.
func oneLetterOff(word string) string {
	if !strings.Contains(word, "hug") || slices.Contains(hugeOptions, word) {
		return ""
	}
	for _, option := range hugeOptions {
		if nearest.Distance(word, option) == 1 {
			return option
		}
	}
	return ""
}

// sizeMeant is the size of these that was probably meant by one in another unit.
func sizeMeant(value string, sizes []pages.Size) string {
	if len(sizes) == 0 {
		sizes = pages.HugeSizes(runtime.GOARCH, false)
	}
	n, _ := strconv.ParseInt(leadingNumber.Get().FindString(value), 10, 32)
	var words []string
	for _, unit := range []int64{pages.KiB, pages.MiB, pages.GiB} {
		if size := pages.Size(n * unit); n > 0 && slices.Contains(sizes, size) {
			return pages.SizeWord(size)
		}
	}
	for _, size := range sizes {
		words = append(words, pages.SizeWord(size))
	}
	return strings.Join(words, " or ")
}
