package host

import (
	"bufio"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// CPU is which huge pages the processor can map, and what it has for virtual
// machines. Only x86 says so; elsewhere Known is false and the kernel's list of
// sizes is all there is to ask.
type CPU struct {
	Known   bool
	PSE     bool // 2 MiB pages
	PDPE1GB bool // 1 GiB pages

	VMX, EPT, VPID bool // Intel's virtualization, page tables of guests, tags in the TLB
	SVM, NPT       bool // AMD's; its TLB is always tagged
}

// CPU reads /proc/cpuinfo.
func (h Host) CPU() (CPU, error) {
	text, err := h.ReadIfThere("/proc/cpuinfo")
	if err != nil {
		return CPU{}, err
	}
	return parseCPUInfo(strings.NewReader(text))
}

// parseCPUInfo reads the flags of the first processor; the kernel lists a flag
// only where every processor has it.
//
//	model name	: Intel(R) Xeon(R) Processor
//	flags		: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pdpe1gb rdtscp lm
//
// arm64 names its line Features, in which no page size is told.
func parseCPUInfo(r io.Reader) (CPU, error) {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		key, value, _ := strings.Cut(scan.Text(), ":")
		if strings.TrimSpace(key) == "flags" {
			flags := strings.Fields(value)
			has := func(flag string) bool { return slices.Contains(flags, flag) }
			return CPU{Known: true, PSE: has("pse"), PDPE1GB: has("pdpe1gb"),
				VMX: has("vmx"), EPT: has("ept"), VPID: has("vpid"), SVM: has("svm"), NPT: has("npt")}, nil
		}
	}
	return CPU{}, scan.Err()
}

// Machine is the kernel's name of the processor's architecture, as in qemu-system-x86_64.
func Machine() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return unix.ByteSliceToString(u.Machine[:])
}
