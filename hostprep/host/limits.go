package host

import "strings"

// Limits reads a row of /proc/PID/limits, each limit a number or "unlimited"; "": there is
// no such row.
//
//	Limit                     Soft Limit           Hard Limit           Units
//	Max locked memory         8388608              unlimited            bytes
func Limits(text, row string) (soft, hard string) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, row); ok {
			if f := strings.Fields(rest); len(f) > 1 {
				return f[0], f[1]
			}
		}
	}
	return "", ""
}
