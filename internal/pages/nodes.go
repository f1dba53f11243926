package pages

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseNodes reads a list of nodes as the kernel and libvirt write it:
// 0-1,3, and libvirt's ^2 to take a node out of a range before it.
func ParseNodes(list string) ([]int, error) {
	var nodes []int
	for _, part := range strings.Split(strings.TrimSpace(list), ",") {
		part = strings.TrimSpace(part)
		text, exclude := strings.CutPrefix(part, "^")
		from, to, isRange := strings.Cut(text, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 12)
		if err != nil {
			return nil, fmt.Errorf("%q is not a list of nodes", list)
		}
		last, err := strconv.ParseUint(to, 10, 12)
		if err != nil || last < first || (exclude && isRange) {
			return nil, fmt.Errorf("%q is not a list of nodes", list)
		}
		for node := int(first); node <= int(last); node++ {
			nodes = slices.DeleteFunc(nodes, func(n int) bool { return n == node })
			if !exclude {
				nodes = append(nodes, node)
			}
		}
	}
	slices.Sort(nodes)
	return nodes, nil
}

// FormatNodes writes a sorted list of nodes as ParseNodes reads it: 0-1,3.
func FormatNodes(nodes []int) string {
	var parts []string
	for i := 0; i < len(nodes); {
		j := i
		for j+1 < len(nodes) && nodes[j+1] == nodes[j]+1 {
			j++
		}
		part := strconv.Itoa(nodes[i])
		if j > i {
			part += "-" + strconv.Itoa(nodes[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}
