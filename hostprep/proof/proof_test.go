package proof

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	"vmhuge/internal/smaps"
)

// What the kernel shows of a guest of 64 MiB on 2 MiB pages, 20 of them on
// node 0, with a page of TCG's code buffer and a stack beside.
const (
	provenStatus = "Name:\tqemu-system-x86\nVmRSS:\t   50876 kB\nHugetlbPages:\t   65536 kB\nThreads:\t5\n"
	provenMaps   = `7f2e00000000 default file=/dev/hugepages/libvirt/qemu/1-web1/qemu_back_mem.pc.ram.GZiUff\040(deleted) huge anon=32 dirty=32 N0=20 N1=12 kernelpagesize_kB=2048
7f2e40000000 default anon=512 dirty=512 active=0 N0=512 kernelpagesize_kB=4
7ffd1c0f2000 default stack anon=5 dirty=5 N0=5 kernelpagesize_kB=4
`
	provenSmaps = `7f2e00000000-7f2e04000000 rw-p 00000000 00:2b 93 /dev/hugepages/libvirt/qemu/1-web1/qemu_back_mem.pc.ram.GZiUff (deleted)
Size:              65536 kB
KernelPageSize:     2048 kB
Rss:                   0 kB
Private_Hugetlb:   65536 kB
VmFlags: rd wr mr mw me de ht hg
`
	// A guest of 1 GiB of which half is there, of that 512 MiB huge; the memory
	// of its video card; and what TCG and glibc have besides.
	transparent = `7f1c40000000-7f1c80000000 rw-p 00000000 00:00 0
Size:            1048576 kB
KernelPageSize:        4 kB
Rss:              655360 kB
AnonHugePages:    524288 kB
Swap:               1024 kB
VmFlags: rd wr mr mw me dc ac hg mg
7f1c90000000-7f1cd0000000 rwxp 00000000 00:00 0
Size:            1048576 kB
AnonHugePages:      2048 kB
VmFlags: rd wr ex mr mw me ac hg
7f1ce0000000-7f1ce1000000 rw-p 00000000 00:00 0
Size:              16384 kB
AnonHugePages:     16384 kB
VmFlags: rd wr mr mw me ac hg
7f1cf0000000-7f1d30000000 rw-p 00000000 00:00 0
Size:            1048576 kB
AnonHugePages:    131072 kB
VmFlags: rd wr mr mw me ac
`
	// Two cells of 33 MiB, the second one in two mappings, and a memfd of QEMU 7.2.
	misaligned = `7f1c40000000-7f1c42100000 rw-p 00000000 00:00 0
Size:              33792 kB
KernelPageSize:        4 kB
Rss:               33792 kB
AnonHugePages:     32768 kB
VmFlags: rd wr mr mw me hg
7f1c50000000-7f1c51000000 rw-p 00000000 00:00 0
Size:              16384 kB
KernelPageSize:        4 kB
Rss:               16384 kB
AnonHugePages:     16384 kB
VmFlags: rd wr mr mw me hg
7f1c51000000-7f1c52100000 rw-p 00000000 00:00 0
Size:              17408 kB
KernelPageSize:        4 kB
Rss:               17408 kB
AnonHugePages:     16384 kB
VmFlags: rd wr mr mw me hg
7f51d7fff000-7f51dbfff000 rw-s 00000000 00:01 1790                       /memfd:memory-backend-memfd (deleted)
Size:              65536 kB
KernelPageSize:        4 kB
Rss:               65536 kB
ShmemPmdMapped:        0 kB
VmFlags: rd wr sh mr mw me ms dc hg
`
)

func TestProve(t *testing.T) {
	const (
		huge = "-- proc/42/status --\n" + provenStatus + "-- proc/42/numa_maps --\n" + provenMaps + "-- proc/42/smaps --\n" + provenSmaps
		none = "-- proc/42/status --\nHugetlbPages:\t0 kB\n-- proc/42/smaps --\n"
	)
	onHuge, nothing := map[string]int64{"2048": 65536}, map[string]int64{}
	byNode := map[string]int64{"0": 40960, "1": 24576}
	hugePart := []RAMPart{{"7f2e00000000", 65536, 2048, 65536, true}}
	cell := func(mib int64) pages.Backend { return pages.Backend{Kind: pages.Cell, MemoryKiB: mib * 1024} }
	for name, test := range map[string]struct {
		files    string
		ram      int64
		backends []pages.Backend
		want     Proof
	}{
		"all": {huge, 65536, nil,
			Proof{HugetlbKiB: onHuge, ByNode: byNode, BackedPercent: 100, Verdict: AllHuge, Preallocated: true, Aligned: true, Parts: hugePart}},
		"the last page is half empty": {huge, 64512, []pages.Backend{cell(63)},
			Proof{HugetlbKiB: onHuge, ByNode: byNode, BackedPercent: 100, Verdict: AllHuge, Preallocated: true, Aligned: true, Parts: hugePart}},
		"partly": {huge, 131072, nil,
			Proof{HugetlbKiB: onHuge, ByNode: byNode, SmallKiB: 65536, BackedPercent: 50, Verdict: Partly, Aligned: true, Parts: hugePart}},
		"one page too few is not 100 %": {huge, 65540, nil,
			Proof{HugetlbKiB: onHuge, ByNode: byNode, SmallKiB: 4, BackedPercent: 99.9, Verdict: Partly, Aligned: true, Parts: hugePart}},
		"reserved, and not used yet": {none + strings.Replace(provenSmaps, "65536 kB\nVm", "0 kB\nVm", 1), 65536, nil,
			Proof{HugetlbKiB: nothing, ByNode: nothing, BackedPercent: 100, Verdict: AllHuge, ReservedKiB: 65536, Aligned: true, Parts: []RAMPart{{"7f2e00000000", 65536, 2048, 0, true}}}},
		"not even reserved": {none + strings.Replace(strings.Replace(provenSmaps, "65536 kB\nVm", "0 kB\nVm", 1), " ht ", " ht nr ", 1), 65536, nil,
			Proof{HugetlbKiB: nothing, ByNode: nothing, SmallKiB: 65536, UntouchedKiB: 65536, Verdict: NoHuge, Aligned: true, Parts: []RAMPart{{"7f2e00000000", 65536, 2048, 0, true}}}},
		"transparent": {none + transparent, 1048576, nil,
			Proof{HugetlbKiB: nothing, ByNode: nothing, THPKiB: 524288, SmallKiB: 524288, UntouchedKiB: 392192, BackedPercent: 50, Verdict: Partly, Aligned: true,
				Parts: []RAMPart{{"7f1c40000000", 1048576, 4, 524288, true}}}},
		"unmapped by NUMA balancing": {none + transparent + "-- proc/sys/kernel/numa_balancing --\n1\n-- proc/42/numa_maps --\n7f1c40000000 default anon=229376 dirty=229376 active=0 N0=1 kernelpagesize_kB=4\n", 1048576, nil,
			Proof{HugetlbKiB: nothing, ByNode: nothing, THPKiB: 786432, SmallKiB: 262144, UntouchedKiB: 130048, BackedPercent: 75, Verdict: Partly, Aligned: true,
				Parts: []RAMPart{{"7f1c40000000", 1048576, 4, 786432, true}}}},
		"cells of which one begins in the middle of a page": {none + misaligned, 67584, []pages.Backend{cell(33), cell(33)},
			Proof{HugetlbKiB: nothing, ByNode: nothing, THPKiB: 65536, SmallKiB: 2048, BackedPercent: 96.9, Verdict: Partly, Preallocated: true,
				Parts: []RAMPart{{"7f1c40000000", 33792, 4, 32768, true}, {"7f1c50000000", 33792, 4, 32768, false}}}},
		"a memfd": {none + misaligned, 65536, []pages.Backend{{Kind: pages.RAM, MemoryKiB: 65536}, {Kind: pages.VirtioMem, MemoryKiB: 4096}},
			Proof{HugetlbKiB: nothing, ByNode: nothing, SmallKiB: 65536, Verdict: NoHuge, Preallocated: true, Parts: []RAMPart{{"7f51d7fff000", 65536, 4, 0, false}}}},
		"what a virtio-mem device has plugged is not the RAM's": {strings.Replace(huge, " ht ", " ht nr ", 1) + "7f1c40000000-7f1c48000000 rw-p 00000000 00:00 0\nSize: 131072 kB\nKernelPageSize: 4 kB\nRss: 131072 kB\nAnonHugePages: 32768 kB\nVmFlags: rd wr hg\n",
			131072, []pages.Backend{{Kind: pages.RAM, MemoryKiB: 131072}, {Kind: pages.VirtioMem, MemoryKiB: 65536}},
			Proof{HugetlbKiB: onHuge, ByNode: byNode, THPKiB: 32768, SmallKiB: 98304, BackedPercent: 25, Verdict: Partly, Preallocated: true, Aligned: true, Parts: []RAMPart{{"7f1c40000000", 131072, 4, 32768, true}}}},
		"none": {none + "7f1c40000000-7f1c40001000 rw-p 00000000 00:00 0\nSize: 4 kB\n", 65536, nil,
			Proof{HugetlbKiB: nothing, ByNode: nothing, SmallKiB: 65536, Verdict: NoHuge}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(host.Host{Root: hosttest.Unpack(t, "one-node", test.files)}, 42, test.ram, test.backends...)
			test.want.RAMKiB, test.want.Evidence = test.ram, got.Evidence
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" || len(got.Evidence) < 2 {
				t.Errorf("%v, from %v: -want +got:\n%s", err, got.Evidence, diff)
			}
		})
	}
	for name, files := range map[string]string{
		"no such process":        "",
		"no hugetlb at all":      "-- proc/42/status --\nName:\tqemu\n",
		"the files do not agree": "-- proc/42/status --\nHugetlbPages:\t4096 kB\n-- proc/42/numa_maps --\n" + provenMaps,
	} {
		if proof, err := Read((host.Host{Root: hosttest.Unpack(t, "one-node", files)}), 42, 65536); err == nil {
			t.Errorf("%s: %+v", name, proof)
		}
	}
}

// Between two files a guest gets pages that are reserved for it, or gives some up.
func TestProveAsItGrows(t *testing.T) {
	const states = 300
	for _, shrinks := range []bool{false, true} {
		root := hosttest.Unpack(t, "one-node", "")
		now := func(i int) {
			dir, n := root.Path("state", strconv.Itoa(i)), i
			if shrinks {
				n = states - i
			}
			err := errors.Join(os.MkdirAll(dir, 0o755),
				os.WriteFile(dir+"/status", fmt.Appendf(nil, "HugetlbPages: %d kB\n", 2048*n), 0o600),
				os.WriteFile(dir+"/numa_maps", fmt.Appendf(nil, "7f2e00000000 default file=/b huge N0=%d kernelpagesize_kB=2048\n", n), 0o600),
				os.WriteFile(dir+"/smaps", fmt.Appendf(nil, "7f2e00000000-7f2e25800000 rw-p 0 00:2b 93 /b\nSize: %d kB\nKernelPageSize: 2048 kB\nPrivate_Hugetlb: %d kB\nVmFlags: rd wr ht\n", 2048*states, 2048*n), 0o600),
				os.Symlink(dir, dir+".new"), os.Rename(dir+".new", root.Path("proc", "42")))
			if err != nil {
				t.Error(err)
			}
		}
		now(1)
		changed := make(chan bool)
		go func() {
			defer close(changed)
			for i := range states - 2 {
				now(i + 2)
			}
		}()
		for going := true; going; {
			if p, err := Read(host.Host{Root: root}, 42, 2048*states); err != nil || !shrinks && p.Verdict != AllHuge {
				t.Errorf("%v, %+v", err, p)
			}
			select {
			case <-changed:
				going = false
			default:
			}
		}
	}
}

// A guest under KVM is one that has a descriptor of a virtual machine.
func TestProveKVM(t *testing.T) {
	const (
		some     = "-- proc/42/status --\nHugetlbPages:\t0 kB\n-- proc/42/smaps --\nSize: 4 kB\n-- proc/42/fd/3 --\nx\n"
		counters = "-- sys/kernel/debug/kvm/42-12/pages_4k --\n7\n-- sys/kernel/debug/kvm/42-12/pages_2m --\n512\n-- sys/kernel/debug/kvm/42-12/pages_1g --\n0\n"
		mounted  = "-- proc/self/mountinfo --\n27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:7 / /sys/kernel/debug rw - debugfs debugfs rw\n"
	)
	for name, test := range map[string]struct {
		files   string
		want    *KVMPages
		unknown string
	}{
		"counted":     {some + counters + mounted, &KVMPages{Small: 7, Huge: 512}, ""},
		"no debugfs":  {some, nil, "no debugfs is mounted: mount -t debugfs debugfs /sys/kernel/debug"},
		"not counted": {some + mounted, nil, "no such file or directory"},
		"no number":   {some + strings.Replace(counters, "512", "many", 1) + mounted, nil, "is not a number"},
	} {
		host := host.Host{Root: hosttest.Unpack(t, "one-node", test.files)}
		hosttest.Must(t, os.Symlink("anon_inode:kvm-vm", host.Root.Path("proc/42/fd/12")))
		got, err := Read(host, 42, 65536)
		if diff := cmp.Diff(test.want, got.KVM); err != nil || diff != "" || !strings.Contains(got.KVMUnknown, test.unknown) || (test.unknown == "") != (got.KVMUnknown == "") {
			t.Errorf("%s: %v, %q: %s", name, err, got.KVMUnknown, diff)
		}
	}
	if got, err := Read((host.Host{Root: hosttest.Unpack(t, "one-node", some)}), 42, 65536); err != nil || got.KVM != nil || got.KVMUnknown != "" {
		t.Errorf("without KVM: %+v, %v", got, err)
	}
}

func FuzzProof(f *testing.F) {
	f.Add(provenStatus)
	f.Add(provenMaps)
	f.Add(provenSmaps)
	f.Add(transparent)
	f.Add(misaligned)
	f.Add("always [madvise] never")
	f.Add("HugetlbPages: -4 kB")
	f.Add("0 default huge N-1=1 kernelpagesize_kB=2048")
	f.Fuzz(func(t *testing.T, text string) {
		if kib, err := hostfs.StatusHugetlb(text); err == nil && kib < 0 {
			t.Errorf("%d KiB of hugetlb pages", kib)
		}
		for _, m := range smaps.ParseNUMA(text) {
			for node, n := range m.Pages {
				if n < 0 || node < 0 || m.PageKiB < 0 {
					t.Errorf("%d pages of %d KiB on node %d", n, m.PageKiB, node)
				}
			}
		}
		for _, backends := range [][]pages.Backend{nil, {{Kind: pages.Cell, MemoryKiB: 33792}, {Kind: pages.DIMM, MemoryKiB: 4}}} {
			p := Proof{RAMKiB: 65536}
			mappings := smaps.Parse(text)
			addHidden(mappings, parseNumaAnon(text))
			p.look(mappings, backends, 2048)
			if p.THPKiB+p.SmallKiB+p.ReservedKiB != p.RAMKiB || min(p.THPKiB, p.SmallKiB, p.ReservedKiB, p.UntouchedKiB) < 0 || p.UntouchedKiB > p.SmallKiB {
				t.Errorf("%+v", p)
			}
		}
		if word := host.ParseChoice(text); !strings.Contains(text, word) {
			t.Errorf("the choice is %q", word)
		}
	})
}
