package host

import (
	"os"
	"strings"
)

// initialPIDs is the PID namespace that a kernel starts with (PROC_PID_INIT_INO of
// linux/proc_ns.h).
const initialPIDs = "pid:[4026531836]"

// HiddenProcesses says why /proc may not show every process of the host, or "". The kernel
// counts the pages of those, too.
func (h Host) HiddenProcesses() (why string, err error) {
	if link, err := os.Readlink(h.Root.Path("proc", "self", "ns", "pid")); err == nil && link != initialPIDs {
		return "vmhuge runs in a PID namespace, as in a container, which hides the host's other processes", nil
	}
	table, err := h.MountTable()
	if err != nil {
		return "", err
	}
	i := MountAt(table, "/proc")
	if i < 0 || table[i].Point != "/proc" || !hides(table[i].Options) {
		return "", nil
	}
	status, err := h.Root.Read("proc", "self", "status")
	if err != nil || Capabilities(status)&CapSysPtrace != 0 {
		return "", err
	}
	return "/proc is mounted with hidepid, which hides the processes of other users", nil
}

// hides recognizes hidepid=1, 2 and 4, as numbers or words (proc_show_options()).
func hides(options MountOptions) bool {
	_, value, ok := strings.Cut(","+string(options), ",hidepid=")
	value, _, _ = strings.Cut(value, ",")
	return ok && value != "0" && value != "off"
}
