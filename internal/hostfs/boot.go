package hostfs

import "strings"

// RunDir is vmhuge's folder of what is lost at a reboot, as the pages are.
var RunDir = []string{"run", "vmhuge"}

// BootID is the kernel's random name of this boot (/proc/sys/kernel/random/boot_id).
func (r Root) BootID() (string, error) {
	text, err := r.Read("proc", "sys", "kernel", "random", "boot_id")
	return strings.TrimSpace(text), err
}
