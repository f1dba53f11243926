package host

import (
	"strconv"
	"strings"
)

// Bits of linux/capability.h.
const (
	CapSysPtrace   = 1 << 19
	CapSysResource = 1 << 24
)

// Capabilities reads the effective capabilities from the text of /proc/PID/status:
//
//	CapEff:	000001ffffffffff
func Capabilities(status string) uint64 {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "CapEff:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(rest), 16, 64)
			return n
		}
	}
	return 0
}
