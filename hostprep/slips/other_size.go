package slips

import (
	"fmt"
	"slices"
	"strconv"

	"vmhuge/internal/pages"
)

// withCountBehind takes the count behind a size that the kernel does not have into a
// correction, in pages of a size that it has.
func (k kernel) withCountBehind(c correction, words []string) correction {
	name, _, value := splitOption(words[c.from])
	size := pages.Memparse(value)
	if name != "hugepagesz" && name != "default_hugepagesz" || len(k.Sizes) == 0 || slices.Contains(k.Sizes, size) || !slices.Contains(pages.HugeSizes("", false), size) {
		return c
	}
	next := c.from + 1 + slices.IndexFunc(words[c.from+1:], func(w string) bool {
		o, _, _ := splitOption(w)
		return slices.Contains([]string{"hugepages", "hugepagesz", "default_hugepagesz"}, o)
	})
	if next == c.from {
		return c
	}
	option, sep, count := splitOption(words[next])
	n, err := strconv.ParseInt(count, 10, 40)
	to := k.Sizes[0]
	if option != "hugepages" || sep != "=" || err != nil || n == 0 || size%to != 0 {
		return c
	}
	c.to = next
	c.Word += " " + words[next]
	if next > c.from+1 {
		c.Word = words[c.from] + " … " + words[next]
	}
	c.Why = "names a size that this kernel does not have, so that it reserves none of these pages"
	c.Right = fmt.Sprintf("%s=%s hugepages=%d for %s in pages of %s", name, pages.SizeWord(to), n*int64(size/to), pages.FormatBytes(n*int64(size)), to)
	return c
}
