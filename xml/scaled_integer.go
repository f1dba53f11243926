package xml

import "strings"

// most is the most KiB that a size may have: far beyond any machine, and small
// enough that sums of them do not overflow.
const most = 1 << 50

// scale returns how many bytes one of a unit is, as virScaleInteger reads it:
// b, bytes; K, KiB, … of 1024; KB, … of 1000; in any case; none: KiB. 0: no unit.
func scale(unit string) uint64 {
	unit = strings.ToLower(unit)
	switch unit {
	case "":
		return 1024
	case "b", "byte", "bytes":
		return 1
	}
	power := strings.IndexByte("kmgtpe", unit[0]) + 1
	base, known := map[string]uint64{"": 1024, "ib": 1024, "b": 1000}[unit[1:]]
	if power == 0 || !known {
		return 0
	}
	n := uint64(1)
	for range power {
		n *= base
	}
	return n
}

// kib returns a size in KiB, rounded up as libvirt does.
func kib(value uint64, unit string) (int64, error) {
	by := scale(unit)
	if by == 0 {
		return 0, broken("%q is not a unit of memory", unit)
	}
	if value > most*1024/by {
		return 0, broken("%d %s is more memory than there is", value, unit)
	}
	return int64((value*by + 1023) / 1024), nil
}

func ceil(n, step int64) int64 { return (n + step - 1) / step * step }
