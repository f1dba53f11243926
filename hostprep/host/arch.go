package host

import (
	"runtime"
	"strings"
)

// Arch is the architecture of the kernel as uname -m has it, or Go; "": a fixture tree
// does not say it.
//
//	x86_64
func (h Host) Arch() string {
	if h.Real() {
		return runtime.GOARCH
	}
	text, err := h.ReadIfThere("/proc/sys/kernel/arch") // since Linux 6.1
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}
