package check

import (
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/shell"
)

// numadRuns says why an installed numad will fail: libvirt cannot execute it, or sysfs,
// where numad reads the nodes, has none.
func numadRuns(h host.Host, file string, st *unix.Stat_t) ([]hostprep.Finding, error) {
	fails := func(have, need, do string) ([]hostprep.Finding, error) {
		return []hostprep.Finding{{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.NumadFails, Have: have, Need: need,
			Do: do + ", or name the nodes in <numatune>"}}, nil
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 == 0 {
		return fails(file+" is "+host.OwnerText(st)+": it is not executable", "a numad that libvirt can run, for placement='auto'", "chmod 0755 "+shell.Quote(file))
	}
	if node, err := h.Lstat("/sys/devices/system/node/node0"); err != nil || node == nil {
		if err != nil {
			return nil, err
		}
		return fails("the kernel shows no NUMA nodes in /sys/devices/system/node, so that numad fails", "a kernel with CONFIG_NUMA, for placement='auto'",
			"take placement='auto' out of <vcpu> and <numatune>")
	}
	queues, err := h.ReadIfThere("/proc/sys/kernel/msgmni")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(queues) == "0" {
		return fails("the kernel gives no message queues (kernel.msgmni), so that numad fails", "message queues, for placement='auto'",
			"sysctl kernel.msgmni=32000")
	}
	return nil, nil
}
