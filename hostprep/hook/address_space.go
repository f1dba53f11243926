package hook

import (
	"fmt"
	"strconv"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
)

// addressSpace is what the hook needs at most: Go reserves addresses when a program
// begins, above all for its heap. With less it can't even say that it fails, and libvirt
// fails the start of every guest.
const addressSpace = 2 * pages.GiB

// tooNarrow says that the running libvirtd may map less than its hook needs, "" if not.
func tooNarrow(h host.Host) (have, do string) {
	d, err := libvirtd.ReadDaemon(h)
	if err != nil || d == nil {
		return "", ""
	}
	text, _ := h.Root.Read("proc", strconv.Itoa(d.PID), "limits")
	limit, limited := parseAddressSpace(text)
	if !limited || limit >= addressSpace {
		return "", ""
	}
	return fmt.Sprintf("%s (process %d) may map only %s, as its limit RLIMIT_AS says, and so may the hook: it could not run, and no guest would start",
		d.Name, d.PID, pages.Amount(limit)), fmt.Sprintf("take LimitAS out of the unit of %s, and restart it", d.Name)
}

// parseAddressSpace reads the limit in bytes from /proc/PID/limits:
//
//	Limit                     Soft Limit           Hard Limit           Units
//	Max address space         unlimited            unlimited            bytes
func parseAddressSpace(text string) (bytes int64, limited bool) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "Max address space"); ok {
			soft, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			n, err := strconv.ParseInt(soft, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
