package boot

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
)

// PoolPages are huge pages to reserve by the kernel's command line.
type PoolPages struct {
	Size  pages.Size
	Pages int64
	Node  int // -1: any
}

// Area is memory that the kernel keeps from boot on for pages of 1 GiB, which it can
// allocate there at any time. Until then other programs use it (hugetlb_cma=).
type Area struct {
	Node int   `json:"node"` // -1: spread over all nodes
	GiB  int64 `json:"gib"`
}

// options is what vmhuge asks of the kernel's command line.
type options struct {
	pages       []PoolPages
	areas       []Area
	defaultSize pages.Size // 0: as it is
	freeStructs bool       // hugetlb_free_vmemmap=on
}

// Request is what the kernel understands of a command line.
type Request struct {
	Default pages.Size     // default_hugepagesz=; 0: the architecture's own
	Pages   map[Pool]int64 // only counts above 0
	Areas   map[int]int64  // bytes of hugetlb_cma= by node, -1: spread over all; only above 0
	// FromArea says that gigantic pages are to come from the areas alone (hugetlb_cma_only=).
	FromArea bool
	Freed    bool // the page structs of huge pages (hugetlb_free_vmemmap=on)
}

// Pool is the pool of one page size on one node; -1: on any.
type Pool struct {
	Size pages.Size
	Node int
}

// Of returns how many pages of a size are asked for, on all nodes.
func (r Request) Of(size pages.Size) (n int64) {
	for pool, count := range r.Pages {
		if pool.Size == size {
			n += count
		}
	}
	return n
}

// Area returns how many bytes of areas for pages on demand are asked for, on all nodes.
func (r Request) Area() (bytes int64) {
	for _, n := range r.Areas {
		bytes += n
	}
	return bytes
}

// move makes the pages of one size those of another, and drops what that had.
func (r Request) move(from, to pages.Size) {
	if from == to || r.Of(from) == 0 {
		return
	}
	maps.DeleteFunc(r.Pages, func(p Pool, _ int64) bool { return p.Size == to })
	for pool, n := range maps.Clone(r.Pages) {
		if pool.Size == from {
			delete(r.Pages, pool)
			r.Pages[Pool{to, pool.Node}] = n
		}
	}
}

// ParseCmdline reads the options for huge pages as the kernel does since
// 5.8. standard is its default size, has says whether it knows a size, and online whether
// there is a node.
//
//	BOOT_IMAGE=/vmlinuz ro hugepages=64 hugepagesz=1G hugepages=0:2,1:2 default_hugepagesz=1G -- single
//
// A hugepages= is for the size named before it. Only the first one for a size
// counts, and only the first hugepagesz= of a size, but that may repeat the size of
// default_hugepagesz=. A hugepages= before any size is for the default size, which may be
// set later. hugepages=NODE:N,… exists since 5.16 (b5389086ad7b); an older kernel reads
// only its first number.
//
// Of hugetlb_cma= each one adds areas of single nodes, and the last that names none is for
// all of them.
//
// Source: Documentation/admin-guide/mm/hugetlbpage.rst and hugepages_setup,
// hugepagesz_setup, default_hugepagesz_setup, cmdline_parse_hugetlb_cma in mm/hugetlb.c
// and mm/hugetlb_cma.c of the kernel.
func ParseCmdline(line string, standard pages.Size, has func(pages.Size) bool, online func(node int) bool) Request {
	const unnamed = pages.Size(0) // the default size, as long as none was set
	r := Request{Pages: map[Pool]int64{}, Areas: map[int]int64{}}
	named := map[pages.Size]bool{}
	current, last := unnamed, pages.Size(-1)
	valid := true
	for _, word := range KernelWords(line) {
		name, value, _ := strings.Cut(word, "=")
		value = strings.Trim(value, `"`)
		size := pages.Memparse(value)
		switch strings.ReplaceAll(name, "-", "_") {
		case "default_hugepagesz":
			if valid = r.Default == 0 && has(size); !valid {
				continue
			}
			r.Default = size
			if !named[size] { // else the one that was named last stays current
				named[size], current = true, size
			}
			r.move(unnamed, size)

		case "hugepagesz":
			again := named[size] && (size != r.Default || r.Of(size) > 0)
			if valid = has(size) && !again; valid {
				named[size], current = true, size
			}

		case "hugepages":
			if !valid || current == last {
				valid = true
				continue
			}
			counts, ok := parseHugepages(value, online)
			if !ok {
				continue
			}
			for node, n := range counts {
				if n > 0 {
					r.Pages[Pool{current, node}] = n
				}
			}
			last = current

		case "hugetlb_cma":
			maps.Copy(r.Areas, parseAreas(value))

		case "hugetlb_cma_only":
			r.FromArea = on(value)

		case "hugetlb_free_vmemmap":
			r.Freed = on(value)
		}
	}
	maps.DeleteFunc(r.Areas, func(_ int, bytes int64) bool { return bytes == 0 })
	r.move(unnamed, cmp.Or(r.Default, standard))
	return r
}

// on says whether the kernel takes a value for yes: kstrtobool() looks no further than what
// decides it.
func on(value string) bool {
	value = strings.ToLower(value)
	return strings.HasPrefix(value, "on") || value != "" && strings.Contains("1yt", value[:1])
}

// KernelWords splits a command line as the kernel does (next_arg in
// lib/cmdline.c), up to the -- before the words for init.
func KernelWords(line string) []string {
	quoted := false
	words := strings.FieldsFunc(line, func(c rune) bool {
		quoted = quoted != (c == '"')
		return !quoted && strings.ContainsRune(" \t\n\r\v\f", c)
	})
	if end := slices.Index(words, "--"); end >= 0 {
		words = words[:end]
	}
	for i, word := range words {
		if strings.HasPrefix(word, `"`) {
			words[i] = strings.Trim(word, `"`)
		}
	}
	return words
}

var leadingNumber = lazyregexp.New(`^[0-9]+`)

// parseHugepages reads the value of hugepages=: the number of pages on any node, -1, or
// on each node that is named. Of a value with a node that is not online, or with a part that is
// no number, the kernel takes nothing, not even what stands before it:
// hugepages_clear_pages_in_node(), since 5.18.
func parseHugepages(value string, online func(node int) bool) (counts map[int]int64, ok bool) {
	counts = map[int]int64{}
	for i, part := range strings.Split(strings.TrimSuffix(value, ","), ",") {
		node, after, named := strings.Cut(part, ":")
		if !named {
			node, after = "-1", part
		}
		digits := leadingNumber.Get().FindString(after)
		n, err := strconv.ParseInt(digits, 10, 62)
		id, nerr := strconv.Atoi(node)
		if err != nil || nerr != nil || named && (id < 0 || !online(id)) || !named && i > 0 {
			return nil, false
		}
		counts[id] += n
		if !named || digits != after { // the kernel reads no further
			break
		}
	}
	return counts, true
}

// parseAreas reads the value of hugetlb_cma=: the bytes of the area on all nodes together,
// -1, or on each node that is named.
func parseAreas(value string) map[int]int64 {
	areas := map[int]int64{}
	for _, part := range strings.Split(value, ",") {
		node, size, named := strings.Cut(part, ":")
		if !named {
			areas[-1] = int64(pages.Memparse(part))
			break
		}
		id, err := strconv.ParseUint(node, 10, 31)
		if err != nil {
			break
		}
		areas[int(id)] = int64(pages.Memparse(size))
	}
	return areas
}

// words writes the options. If some pages of a size, or areas, are for single nodes, the
// rest is spread over all nodes as the kernel does it, because it reads either values by
// node or one value for all nodes.
func (o options) words(nodes []int) string {
	counts := map[pages.Size]map[int]int64{}
	for _, w := range o.pages {
		if counts[w.Size] == nil {
			counts[w.Size] = map[int]int64{}
		}
		counts[w.Size][w.Node] += w.Pages
	}
	var words []string
	if o.defaultSize != 0 {
		words = append(words, "default_hugepagesz="+pages.SizeWord(o.defaultSize))
	}
	for _, size := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, "hugepagesz="+pages.SizeWord(size), "hugepages="+byNode(counts[size], nodes, ""))
	}
	areas := map[int]int64{}
	for _, a := range o.areas {
		areas[a.Node] += a.GiB
	}
	if len(areas) > 0 {
		words = append(words, "hugetlb_cma="+byNode(areas, nodes, "G"))
	}
	if o.freeStructs {
		words = append(words, "hugetlb_free_vmemmap=on")
	}
	return strings.Join(words, " ")
}

// byNode writes counts by node, or that of any node, -1, each with its unit.
func byNode(on map[int]int64, nodes []int, unit string) string {
	if any := on[-1]; any > 0 && len(on) > 1 {
		for i, node := range nodes {
			on[node] += (any + int64(len(nodes)-1-i)) / int64(len(nodes))
		}
	}
	value := strconv.FormatInt(on[-1], 10) + unit
	if delete(on, -1); len(on) > 0 {
		var parts []string
		for _, node := range slices.Sorted(maps.Keys(on)) {
			parts = append(parts, fmt.Sprintf("%d:%d%s", node, on[node], unit))
		}
		value = strings.Join(parts, ",")
	}
	return value
}
