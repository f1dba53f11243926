package hook

import (
	"fmt"
	"strconv"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
)

// limit is one of the daemon's that its hook inherits. With less than it needs, the hook
// can't even say that it fails: Go ends the program before main, and libvirt fails the start
// of every guest, and ends those that run when it connects to them again.
type limit struct {
	row   string // in /proc/PID/limits
	unit  string // the setting of a systemd unit
	name  string // as in setrlimit(2)
	needs int64  // bytes, at most
}

// limits are those that keep memory from the hook. Go reserves addresses when a program begins,
// above all for its heap; what it maps for writing, over 100 MiB before main, is data. The
// hook's heap is kept to 256 MiB.
var limits = []limit{
	{"Max address space", "LimitAS", "RLIMIT_AS", 2 * pages.GiB},
	{"Max data size", "LimitDATA", "RLIMIT_DATA", 512 * pages.MiB},
}

// tooNarrow says that the running libvirtd may map less than its hook needs, "" if not.
func tooNarrow(h host.Host) (have, need, do string) {
	d, err := libvirtd.ReadDaemon(h)
	if err != nil || d == nil {
		return "", "", ""
	}
	text, _ := h.Root.Read("proc", strconv.Itoa(d.PID), "limits")
	for _, l := range limits {
		soft, _ := host.Limits(text, l.row)
		if bytes, err := strconv.ParseInt(soft, 10, 64); err == nil && bytes < l.needs { // else it is unlimited
			return fmt.Sprintf("%s (process %d) may map only %s, as its limit %s says, and so may the hook: it could not run, and no guest would start",
				d.Name, d.PID, pages.Amount(bytes), l.name), pages.Amount(l.needs), fmt.Sprintf("take %s out of the unit of %s, and restart it", l.unit, d.Name)
		}
	}
	return "", "", ""
}
