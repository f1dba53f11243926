package prepare

import (
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/hostfs"
)

// qemuKVMFile is read by the service qemu-kvm of Debian and Ubuntu before they
// had systemd, and of Ubuntu after: with KVM_HUGEPAGES=1 it mounts a hugetlbfs.
const (
	qemuKVMFile  = "/etc/default/qemu-kvm"
	qemuKVMMount = "/run/hugepages/kvm"
)

// qemuKVMStep makes that service mount a hugetlbfs at boot, if it is installed.
var qemuKVMStep = Step{"qemu-kvm", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	if text, err := h.ReadIfThere(qemuKVMFile); !p.Persist || text == "" || err != nil {
		return nil, err
	}
	f := hostprep.Finding{
		Severity: hostprep.Warning,
		Have:     "the service qemu-kvm mounts no hugetlbfs at boot",
		Need:     "KVM_HUGEPAGES=1 in " + qemuKVMFile,
	}
	changed, err := f.FixFile(h, change.SystemFile(qemuKVMFile, func(text string) (string, error) {
		return setShellVariable(text, "KVM_HUGEPAGES", "1"), nil
	}), "KVM_HUGEPAGES=1")
	if !changed || err != nil {
		return nil, err
	}
	return []hostprep.Finding{f}, nil
}}

// setShellVariable sets a variable in a file of shell assignments. It changes the last
// assignment, which is the one that counts, and leaves all else as it is.
//
//	# Set this to 1 if you want hugepages to be available to KVM under
//	# /run/hugepages/kvm
//	KVM_HUGEPAGES=0
func setShellVariable(text, name, value string) string {
	start, end := -1, -1
	at := 0
	for line := range strings.Lines(text) {
		assigned := strings.TrimLeft(line, " \t")
		if rest, ok := strings.CutPrefix(assigned, name+"="); ok {
			start = at + len(line) - len(rest)
			end = start + len(rest)
			if i := strings.IndexAny(rest, " \t;\r\n"); i >= 0 {
				end = start + i
			}
		}
		at += len(line)
	}
	switch {
	case start >= 0 && strings.Trim(text[start:end], `"'`) == value:
		return text
	case start >= 0:
		return text[:start] + value + text[end:]
	}
	return hostfs.AddLine(text, name+"="+value)
}
