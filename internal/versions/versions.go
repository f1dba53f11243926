// Package versions is the table of what libvirt and QEMU do only since some version, and
// what vmhuge has to know of it. No other code compares versions.
package versions

import (
	"fmt"
	"strings"
)

// Rule is what libvirt with QEMU does since these versions, as 9001000 is 9.1.0; 0: any.
type Rule struct {
	Libvirt, QEMU uint32
	Does          string
}

// String is the rule in a line, such as: QEMU 9.1: QEMU refuses …
func (r Rule) String() string {
	var of []string
	if r.Libvirt != 0 {
		of = append(of, "libvirt "+since(r.Libvirt))
	}
	if r.QEMU != 0 {
		of = append(of, "QEMU "+since(r.QEMU))
	}
	return strings.Join(of, " and ") + ": " + r.Does
}

func since(version uint32) string { return fmt.Sprintf("%d.%d", version/1000000, version/1000%1000) }

// What libvirt and QEMU do, oldest first.
var (
	HookFolder    = Rule{6005000, 0, "libvirt runs the hooks in `/etc/libvirt/hooks/qemu.d`"}
	Restrictive   = Rule{7003000, 0, "libvirt knows `<memory mode='restrictive'>`"}
	VirtioMem     = Rule{7009000, 0, "libvirt knows virtio-mem"}
	Threads       = Rule{8002000, 0, "libvirt keeps the threads of `<allocation>`"}
	RestartKeeps  = Rule{8008000, 0, "a restart of libvirt keeps the paths of running guests' pages"}
	DevTwice      = Rule{8008000, 0, "where /dev is mounted twice, libvirt gives QEMU what is mounted below it, such as /dev/hugepages"}
	MemfdAlone    = Rule{8008000, 0, "a guest on memfd needs no folder on the hugetlbfs mounts"}
	MakesFolders  = Rule{9000000, 0, "at each start, libvirt makes its folders on a hugetlbfs so that QEMU can search them, and the mount's own"}
	NamesMount    = Rule{9000000, 0, "libvirt says that it knows no hugetlbfs of a page size; older ones start QEMU without its memory"}
	ThreadContext = Rule{9000000, 7002000, "QEMU preallocates pages of a node in threads on its processors"}
	PinIsHeeded   = Rule{9002000, 7002000, "of these processors, QEMU leaves out those that `<emulatorpin>` excludes"}
	FilledPages   = Rule{0, 9001000, "QEMU refuses memory that does not fill its last huge page"}
	StrictDevices = Rule{12000000, 0, "the `<nodemask>` of a memory device is strict"}
)

// All are the rules, in the order in which they are documented.
var All = []Rule{HookFolder, Restrictive, VirtioMem, Threads, RestartKeeps, DevTwice, MemfdAlone, MakesFolders, NamesMount, ThreadContext, PinIsHeeded, FilledPages, StrictDevices}

// In says whether such a libvirt with such a QEMU does it. One whose version is not known,
// 0, does nothing that not all do.
func (r Rule) In(libvirt, qemu uint32) bool { return libvirt >= r.Libvirt && qemu >= r.QEMU }

// LackedBy says whether it is known that such a libvirt with such a QEMU does not do it.
func (r Rule) LackedBy(libvirt, qemu uint32) bool {
	return !r.In(libvirt, qemu) && (r.Libvirt == 0 || libvirt != 0) && (r.QEMU == 0 || qemu != 0)
}
