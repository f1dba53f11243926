package xml

import (
	"math/big"
	"strconv"
	"strings"
)

// parseNodeset reads libvirt's node lists, such as 0-3,^2.
func parseNodeset(text string) (*big.Int, error) {
	set := new(big.Int)
	for _, part := range strings.Split(text, ",") {
		part = strings.Trim(part, blank)
		bit := uint(1)
		if strings.HasPrefix(part, "^") {
			part, bit = part[1:], 0
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(strings.Trim(first, blank), 10, 14)
		to, err2 := strconv.ParseUint(strings.Trim(last, blank), 10, 14)
		if err1 != nil || err2 != nil || to < from || isRange && bit == 0 {
			return nil, broken("%q is not a list of NUMA nodes; write it as 0-3,^2", text)
		}
		for n := from; n <= to; n++ {
			set.SetBit(set, int(n), bit)
		}
	}
	if set.Sign() == 0 {
		return nil, broken("the list of NUMA nodes %q is empty", text)
	}
	return set, nil
}

// formatNodeset writes a node list as libvirt does.
func formatNodeset(set *big.Int) string {
	var parts []string
	for n := 0; n < set.BitLen(); n++ {
		if set.Bit(n) == 0 {
			continue
		}
		first := n
		for set.Bit(n+1) == 1 {
			n++
		}
		part := strconv.Itoa(first)
		if n > first {
			part += "-" + strconv.Itoa(n)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}
