package hostpage

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/golden"
)

// factLines writes facts as check does, without what is needed and what to do.
// One that is off without saying both is an error.
func factLines(t *testing.T, facts []Fact) []string {
	t.Helper()
	var lines []string
	for _, f := range facts {
		lines = append(lines, fmt.Sprintf("%s %s: %s", f.Severity, f.Name, f.Have))
		if f.Severity != hostprep.OK && f.Verdict != hostprep.Unknown && (f.Need == "" || f.Do == "") || f.Value != f.Have || f.Check == "" {
			t.Errorf("%+v", f)
		}
	}
	return lines
}

// Each fixture host, whole.
func TestFactsOfHosts(t *testing.T) {
	for name, want := range map[string]string{
		"intel-ept-off": `ok processor: supports 2 MiB (pse) and 1 GiB (pdpe1gb) pages
warning EPT: kvm_intel is loaded with ept=N, although the processor supports it
ok VPID: on (kvm_intel)
ok kernel: has hugetlbfs
warning command line: the kernel command line asks for 4 pages of 1 GiB, but 3 are allocated; node 0 has 15.6 GiB of memory in total
ok command line: transparent_hugepage=madvise
ok page sizes: 2 MiB, 1 GiB; the default is 2 MiB
ok memory: 16000 MiB, 12000 MiB available
ok headroom: the pools can grow by 10880 MiB
ok pool 2 MiB: 0 pages, 0 free, 0 of them reserved, 0 surplus, overcommit 0
ok pool 1 GiB: 3 pages, 3 free, 0 of them reserved, 0 surplus, overcommit 0
ok node 0: 0 of 0 pages of 2 MiB are free
ok node 0: 3 of 3 pages of 1 GiB are free
note reserved: nobody uses the 3 pages of 1 GiB, which keep 3 GiB from everything else
ok hugetlbfs: /dev/hugepages (2 MiB)
warning hugetlbfs: no hugetlbfs with pages of 1 GiB is mounted
ok QEMU user: libvirt-qemu, 64055:107, groups [107 64055]
ok /dev/kvm: QEMU can open it
ok cgroup: no cgroup above the guests limits huge pages
ok AppArmor: on, libvirtd (enforce)
warning AppArmor: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has
ok THP: madvise, defrag madvise, shmem never
note KSM: runs: pages_sharing 20480, pages_shared 4096, full_scans 12
note swap: 1 GiB of 4 GiB in use
ok zswap: on: it may take up to 20 % of the memory outside the pools
ok libvirt: libvirtd starts on demand (socket activation)
ok QEMU: /usr/bin/qemu-kvm, version unknown (libvirt did not report it)
ok hook: not installed (vmhuge hook install)`,
		"amd-npt": `ok processor: supports 2 MiB (pse) and 1 GiB (pdpe1gb) pages
ok NPT: on (kvm_amd)
ok kernel: has hugetlbfs
ok command line: asks for 100 pages of 2 MiB, all allocated
ok page sizes: 2 MiB, 1 GiB; the default is 2 MiB
ok memory: 16000 MiB, 12000 MiB available
ok headroom: the pools can grow by 11488 MiB
ok pool 2 MiB: 140 pages, 140 free, 0 of them reserved, 40 surplus, overcommit 64
ok pool 1 GiB: 0 pages, 0 free, 0 of them reserved, 0 surplus, overcommit 0
note node 0: 40 of 40 pages of 2 MiB are free, 40 of them unused surplus
ok node 0: 0 of 0 pages of 1 GiB are free
warning node 1: 100 of 100 pages of 2 MiB are free, but the node has no CPUs
ok node 1: 0 of 0 pages of 1 GiB are free
note reserved: nobody uses the 100 pages of 2 MiB, which keep 200 MiB from everything else
ok hugetlbfs: /dev/hugepages (2 MiB)
ok QEMU user: libvirt-qemu, 64055:107, groups [107 64055]
ok /dev/kvm: QEMU can open it
ok cgroup: no limits: the kernel has no hugetlb controller
ok security: neither AppArmor nor SELinux is on
ok THP: none: the kernel has no transparent huge pages
ok KSM: off
ok swap: none
ok libvirt: libvirtd (process 500) has been running since 2001-09-09 02:07:14 UTC
ok QEMU: /usr/bin/qemu-kvm, version unknown (libvirt did not report it)
ok hook: not installed (vmhuge hook install)`,
		"fedora-selinux": `ok processor: supports 2 MiB (pse) and 1 GiB (pdpe1gb) pages
ok EPT: on (kvm_intel)
warning VPID: kvm_intel is loaded with vpid=N, although the processor supports it
ok kernel: has hugetlbfs
ok command line: asks for no huge pages
ok page sizes: 2 MiB, 1 GiB; the default is 2 MiB
ok memory: 16000 MiB, 12000 MiB available
ok headroom: the pools can grow by 11488 MiB
ok pool 2 MiB: 512 pages, 512 free, 0 of them reserved, 0 surplus, overcommit 0
ok pool 1 GiB: 0 pages, 0 free, 0 of them reserved, 0 surplus, overcommit 0
ok node 0: 512 of 512 pages of 2 MiB are free
ok node 0: 0 of 0 pages of 1 GiB are free
note reserved: nobody uses the 512 pages of 2 MiB, which keep 1 GiB from everything else
ok hugetlbfs: /dev/hugepages (2 MiB)
ok QEMU user: qemu, 107:107, groups [107 36]
ok /dev/kvm: QEMU can open it
note cgroup: /sys/fs/cgroup/machine.slice/hugetlb.2MB.max leaves 256 pages of 2 MiB to all guests
ok SELinux: enforcing
ok THP: none: the kernel has no transparent huge pages
ok KSM: off
ok swap: none
ok libvirt: virtqemud (process 500) has been running since 2001-09-09 02:07:14 UTC
ok QEMU: /usr/bin/qemu-kvm, version unknown (libvirt did not report it)
ok hook: not installed (vmhuge hook install)`,
	} {
		t.Run(name, func(t *testing.T) {
			root := hosttest.Unpack(t, name, "")
			facts := Facts(host.Host{Root: root}, Libvirt{})
			golden.Literal(t, want, strings.Join(factLines(t, facts), "\n"))
			hosttest.Split(t, root.Path())
			split := fmt.Sprint(Facts(host.Host{Root: root}, Libvirt{}))
			if diff := cmp.Diff(strings.ReplaceAll(fmt.Sprint(facts), "libvirtd", "virtqemud"), split); diff != "" {
				t.Errorf("with virtqemud: %s", diff)
			}
			if verdict := Conclude(facts); verdict != hostprep.Ready {
				t.Errorf("verdict %s", verdict)
			}
		})
	}
}

// plainHost is what one-node.txtar lacks of a host on which all is well.
const plainHost = "-- proc/600/status --\nName:\tqemu-system-x86\nHugetlbPages:\t 1736704 kB\n-- proc/filesystems --\nnodev\thugetlbfs\n-- proc/cmdline --\nquiet\n-- usr/bin/qemu-kvm --\nELF\n" +
	"-- proc/cpuinfo --\nflags : pse pdpe1gb vmx ept vpid\n-- sys/module/kvm_intel/parameters/ept --\nY\n-- sys/devices/system/node/node0/cpulist --\n0-3\n"

const thpFiles = "-- proc/buddyinfo --\nNode 0, zone Normal 0 0 0 0 0 0 0 0 0 0 2500\n" +
	"-- sys/kernel/mm/transparent_hugepage/khugepaged/defrag --\n1\n-- sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan --\n4096\n" +
	"-- sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs --\n10000\n" +
	"-- sys/kernel/mm/transparent_hugepage/enabled --\nalways madvise [never]\n-- sys/kernel/mm/transparent_hugepage/defrag --\nalways [madvise] never\n"

// What an edit of a host on which all is well adds to its lines.
func TestFactsOff(t *testing.T) {
	fixtureLines := func(t *testing.T, edit string, told Libvirt, prepare func(root string) error) ([]string, hostprep.Verdict) {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", plainHost+edit)}
		if prepare != nil {
			hosttest.Must(t, prepare(h.Root.Path()))
		}
		facts := Facts(h, told)
		return factLines(t, facts), Conclude(facts)
	}
	well, verdict := fixtureLines(t, "", Libvirt{}, nil)
	if verdict != hostprep.Ready || slices.ContainsFunc(well, func(line string) bool { return !strings.HasPrefix(line, "ok ") }) {
		t.Fatalf("%s:\n%s", verdict, strings.Join(well, "\n"))
	}
	cmdline := func(words string) string { return "-- proc/cmdline --\n" + words + "\n" }
	onHuge := func(flags, options string) string {
		return "-- proc/self/mountinfo --\n" + hosttest.RootMounts + "44 24 0:41 / /dev/hugepages " + flags + " - hugetlbfs none rw," + options + "\n"
	}
	for _, test := range []struct {
		name    string
		edit    string
		prepare func(root string) error
		told    Libvirt
		want    string
		verdict hostprep.Verdict
	}{
		{name: "processor of a virtual machine", edit: "-- proc/cpuinfo --\nflags : pse\n", want: `
note processor: supports 2 MiB pages (pse), not 1 GiB pages
warning KVM: the processor has neither vmx nor svm`},
		{name: "no EPT", edit: "-- proc/cpuinfo --\nflags : pse pdpe1gb vmx vpid\n", want: `
warning EPT: the processor does not support it`},
		{name: "no module", edit: "-- proc/cpuinfo --\nflags : pse pdpe1gb svm npt\n", want: `
warning KVM: kvm_amd is not loaded`},
		{name: "no hugetlbfs", edit: "-- proc/filesystems --\nnodev\ttmpfs\n", verdict: hostprep.BadHost, want: `
blocker kernel: has no hugetlbfs`},
		{name: "nothing to be told from", edit: "-- proc/swaps/x --\nno file\n", verdict: hostprep.Unknown, want: `
warning swap: cannot check`},

		{name: "boot: all there", edit: cmdline("hugepages=2048"), want: `
ok command line: asks for 2048 pages of 2 MiB, all allocated`},
		{name: "boot: one too few", edit: cmdline("hugepagesz=2M hugepages=2049"), want: `
warning command line: the kernel command line asks for 2049 pages of 2 MiB, but 2048 are allocated; node 0 has 15.6 GiB of memory in total`},
		{name: "boot: on a node that is not there", edit: cmdline("hugepages=0:1024,1:1024"), want: `
warning command line: hugepages=0:1024,1:1024 names node 1, which this host does not have, so that the kernel refuses the whole option and reserves none of its pages`},
		{name: "boot: pending in the menu", edit: "-- usr/sbin/grub-mkconfig --\n. default/grub.d\n-- etc/default/grub --\nGRUB_CMDLINE_LINUX_DEFAULT=\"hugepagesz=1G hugepages=6\"\n-- boot/grub/grub.cfg --\nlinux /vmlinuz ro hugepagesz=1G hugepages=6\n", want: `
note next boot: /boot/grub/grub.cfg asks for 6 pages of 1 GiB, and this boot's command line for 0`},
		{name: "boot: pending, and too many", edit: "-- usr/sbin/grub-mkconfig --\n. default/grub.d\n-- etc/default/grub --\nGRUB_CMDLINE_LINUX_DEFAULT=\"hugepagesz=1G hugepages=15\"\n-- boot/grub/grub.cfg --\nlinux /vmlinuz ro hugepagesz=1G hugepages=15\n", want: `
warning next boot: /boot/grub/grub.cfg asks for 15 pages of 1 GiB, and this boot's command line for 0; with all that is reserved at boot that leaves 640 MiB of 15.6 GiB`},
		{name: "boot: the menu is not made", edit: "-- usr/sbin/grub-mkconfig --\n. default/grub.d\n-- etc/default/grub --\nGRUB_CMDLINE_LINUX_DEFAULT=\"hugepagesz=1G hugepages=6\"\n-- boot/grub/grub.cfg --\nlinux /vmlinuz ro\n", want: `
warning next boot: /etc/default/grub asks for 6 pages of 1 GiB, and this boot's command line for 0; the next boot will not have it yet`},
		{name: "boot: a size that is not there", edit: cmdline("hugepagesz=16G hugepages=1"), want: `
warning command line: hugepagesz=16G hugepages=1 names a size that this kernel does not have, so that it reserves none of these pages`},
		{name: "boot: another default", edit: cmdline("default_hugepagesz=1G"), want: `
warning command line: default_hugepagesz=1G, but the default is 2 MiB`},
		{name: "boot: memory for what can move", edit: cmdline("movablecore=4G") + "-- proc/zoneinfo --\nNode 0, zone  Movable\n        present  1048576\n-- pools --\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n", want: `
note command line: movablecore=4G keeps memory for what can move, and the kernel makes no pages of 1 GiB of it
ok page sizes: 1 GiB
ok headroom: the pools can grow by 11488 MiB`},
		{name: "boot: THP is something else now", edit: cmdline("transparent_hugepage=always") + thpFiles, want: `
note command line: transparent_hugepage=always, but transparent_hugepage/enabled is never now
ok THP: never, defrag madvise, shmem none
warning THP: transparent huge pages are off: enabled is never`},

		{name: "who holds pages", edit: "-- proc/601/status --\nName:\tdpdk\nHugetlbPages:\t 2048 kB\n-- proc/600/status --\nName:\tqemu-system-x86\nHugetlbPages:\t 1048576 kB\n-- dev/hugepages/left over --\nx\n", want: `
ok in use: qemu-system-x86 (process 600) 1 GiB, dpdk (process 601) 2 MiB
note in use: 670 MiB of huge pages are in use, and no process has them mapped; files that hold pages: "/dev/hugepages/left over" (4 KiB)`},
		{name: "pages of nobody, reserved by sysctl", edit: "-- etc/sysctl.d/50-hp.conf --\nvm.nr_hugepages=2048\n-- pools --\nall 2048 2048 2048 0 0 0\n0 2048 2048 2048 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n", want: `
ok pool 2 MiB: 2048 pages, 2048 free, 0 of them reserved, 0 surplus, overcommit 0
ok node 0: 2048 of 2048 pages of 2 MiB are free
ok reserved: 2048 pages of 2 MiB at boot, by /etc/sysctl.d/50-hp.conf:1
note reserved: nobody uses the 2048 pages of 2 MiB, which keep 4 GiB from everything else`},
		{name: "slips", edit: cmdline("hugepages:8 -- hugepages=4") + "-- etc/fstab --\nnone /big hugetlbfs pageSize=1G 0 0\n-- etc/sysctl.conf --\nvm.nr_hugepage=8\n", want: `
warning command line: hugepages:8 has a : where the kernel wants =, so that the kernel ignores it
warning command line: hugepages=4 comes after --, so that the kernel passes it to init
warning fstab: /etc/fstab:1: pageSize=1G is not an option of hugetlbfs, so that the mount fails
warning sysctl: /etc/sysctl.conf:1: vm.nr_hugepage = 8 is not a setting of the kernel, so that nothing happens`},
		{name: "every program waits for compaction", edit: thpFiles + "-- proc/buddyinfo --\nNode 0, zone Normal 90000 80000 40000 0 0 0 0 0 0 0 0\n" +
			"-- sys/kernel/mm/transparent_hugepage/enabled --\n[always] madvise never\n-- sys/kernel/mm/transparent_hugepage/defrag --\n[always] defer defer+madvise madvise never\n", want: `
ok THP: always, defrag always, shmem none
warning THP: defrag is always, and 0 blocks of 2 MiB are free in one piece: every program stalls while the kernel compacts memory`},
		{name: "defrag always with room", edit: thpFiles + "-- sys/kernel/mm/transparent_hugepage/enabled --\n[always] madvise never\n-- sys/kernel/mm/transparent_hugepage/defrag --\n[always] defer defer+madvise madvise never\n", want: `
ok THP: always, defrag always, shmem none`},
		{name: "a script that sets the pool", edit: "-- etc/libvirt/hooks/qemu --\n#!/bin/sh\necho 8 >/proc/sys/vm/nr_hugepages\n-- modes --\netc/libvirt/hooks/qemu 0755 0:0\n", want: `
warning hook: /etc/libvirt/hooks/qemu sets the pool by itself: line 2: echo 8 >/proc/sys/vm/nr_hugepages`},

		{name: "the pools hold too much", edit: "-- pools --\nall 2048 7500 0 0 0 0\n0 2048 7500 0 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n-- proc/meminfo --\nMemTotal: 16384000 kB\nMemAvailable: 600000 kB\nHugepagesize: 2048 kB\n", verdict: hostprep.NoMemory, want: `
ok memory: 16000 MiB, 585 MiB available
blocker headroom: no huge page is free, and the pools cannot grow
ok pool 2 MiB: 7500 pages, 0 free, 0 of them reserved, 0 surplus, overcommit 0
ok node 0: 0 of 7500 pages of 2 MiB are free
note in use: 13.0 GiB of huge pages are in use, and no process has them mapped`},
		{name: "the pools hold too much, and some is free", edit: "-- pools --\nall 2048 7500 100 20 0 0\n0 2048 7500 100 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n-- proc/meminfo --\nMemTotal: 16384000 kB\nMemAvailable: 600000 kB\nHugepagesize: 2048 kB\n", want: `
ok memory: 16000 MiB, 585 MiB available
warning headroom: the pools hold 14.6 GiB of 15.6 GiB; 585.9 MiB of the rest is available
ok pool 2 MiB: 7500 pages, 100 free, 20 of them reserved, 0 surplus, overcommit 0
ok node 0: 100 of 7500 pages of 2 MiB are free
note in use: 12.8 GiB of huge pages are in use, and no process has them mapped`},
		{name: "a count below 0", edit: "-- pools --\nall 2048 20 20 18446744073709551614 0 0\n0 2048 20 20 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n", want: `
ok headroom: the pools can grow by 11488 MiB
ok pool 2 MiB: 20 pages, 20 free, 0 of them reserved, 0 surplus, overcommit 0
warning pool 2 MiB: the kernel counts -2 pages as reserved, a kernel bug: it promises 2 more than exist, so that a program may die when it uses them, and frees none while fewer are in use
ok node 0: 20 of 20 pages of 2 MiB are free
note reserved: nobody uses the 20 pages of 2 MiB, which keep 40 MiB from everything else`},
		{name: "uneven nodes", edit: "-- pools --\nall 2048 100 100 0 0 0\n0 2048 90 90 0\n1 2048 10 10 0\nall 1048576 0 0 0 0 0\n", want: `
ok headroom: the pools can grow by 11488 MiB
note pool 2 MiB: 100 pages, 100 free, 0 of them reserved, 0 surplus, overcommit 0
ok node 0: 90 of 90 pages of 2 MiB are free
ok node 1: 10 of 10 pages of 2 MiB are free
note reserved: nobody uses the 100 pages of 2 MiB, which keep 200 MiB from everything else`},
		{name: "no 1 GiB in the kernel", edit: "-- pools --\nall 2048 0 0 0 0 0\n0 2048 0 0 0\n", want: `
note page sizes: 2 MiB
ok headroom: the pools can grow by 11488 MiB
ok pool 2 MiB: 0 pages, 0 free, 0 of them reserved, 0 surplus, overcommit 0
ok node 0: 0 of 0 pages of 2 MiB are free`},

		{name: "a mode in decimal", edit: "-- modes --\ndev/hugepages/ 3353 0:107\n", want: `
ok hugetlbfs: /dev/hugepages (2 MiB), 3353 0:107
warning hugetlbfs: /dev/hugepages has the mode 3353, which is 1770 written in decimal by mistake`},
		{name: "a mount option in decimal", edit: onHuge("rw", "mode=1352,pagesize=2M"), want: `
warning hugetlbfs: /dev/hugepages was mounted with mode=1352, which is 1770 written in decimal by mistake`},
		{name: "anybody's", edit: "-- modes --\ndev/hugepages/ 0777 0:0\n", want: `
ok hugetlbfs: /dev/hugepages (2 MiB), 0777 0:0
warning hugetlbfs: /dev/hugepages is world-writable: any user can take its pages`},
		{name: "read-only", edit: onHuge("ro", "pagesize=2M"), verdict: hostprep.NoMount, want: `
blocker hugetlbfs: /dev/hugepages is mounted read-only`},
		{name: "limits", edit: onHuge("rw", "pagesize=2M,size=1073741824,min_size=4194304"), want: `
note hugetlbfs: /dev/hugepages is mounted with size=1073741824: 1 GiB free
note hugetlbfs: /dev/hugepages is mounted with min_size=4194304: 4 MiB reserved for files on it`},
		{name: "hidden", edit: onHuge("rw", "pagesize=2M") + "46 44 0:43 / /dev/hugepages rw - tmpfs none rw\n", prepare: hosttest.NoBase, verdict: hostprep.NoMount, want: `
blocker hugetlbfs: no hugetlbfs with pages of 2 MiB is mounted
warning hugetlbfs: a tmpfs is mounted over the hugetlbfs on /dev/hugepages`},
		{name: "an entry of hugetlbfs_mount is none", edit: "-- run/libvirt/qemu/driver.pid --\n-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\", \"/etc\"]\n", verdict: hostprep.BadHost, want: `
blocker hugetlbfs: hugetlbfs_mount in /etc/libvirt/qemu.conf names /etc, which is not on a hugetlbfs
warning libvirt: installed, but libvirtd does not run`},
		{name: "younger than libvirtd", edit: hosttest.NewMount, prepare: hosttest.NoBase, verdict: hostprep.NoMount, want: `
blocker hugetlbfs: /dev/hugepages was mounted after libvirtd (process 500) started`},
		{name: "libvirt was never here", edit: "-- run/libvirt/qemu/driver.pid --\n-- proc/self/mountinfo --\n" + hosttest.RootMounts, prepare: func(root string) error { return os.RemoveAll(root + "/run/libvirt") }, want: `
ok hugetlbfs: none
note libvirt: not installed`},
		{name: "nothing mounted", edit: "-- proc/self/mountinfo --\n" + hosttest.RootMounts, want: `
warning hugetlbfs: no hugetlbfs with pages of 2 MiB is mounted`},
		{name: "qemu.conf", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"\"\n", verdict: hostprep.BadHost, want: `
blocker hugetlbfs: hugetlbfs_mount = "" in /etc/libvirt/qemu.conf keeps libvirt from starting its QEMU driver`},
		{name: "libvirt's folder is closed", edit: "-- modes --\ndev/hugepages/libvirt/ 0700 0:0\n", want: `
warning hugetlbfs: /dev/hugepages/libvirt is 0700 0:0`},

		{name: "qemu.conf with a slip", edit: "-- run/libvirt/qemu/driver.pid --\n-- etc/libvirt/qemu.conf --\n\nuser = qemu\n", verdict: hostprep.BadHost, want: `
blocker hugetlbfs: /etc/libvirt/qemu.conf: line 2: expected a string, a number or a list
warning libvirt: installed, but libvirtd does not run`},
		{name: "no such user", edit: "-- etc/libvirt/qemu.conf --\nuser = \"qemoo\"\n", verdict: hostprep.BadHost, want: `
blocker QEMU user: no such user: qemoo`},
		{name: "no such group", edit: "-- etc/libvirt/qemu.conf --\ngroup = \"hugo\"\n", verdict: hostprep.BadHost, want: `
blocker QEMU user: no such group: hugo`},
		{name: "root", edit: "-- etc/libvirt/qemu.conf --\nuser = \"root\"\n", want: `
note QEMU user: root`},
		{name: "kvm of root", edit: "-- modes --\ndev/kvm 0600 0:0\n", want: `
warning /dev/kvm: /dev/kvm is 0600 0:0, and libvirt-qemu cannot open it`},

		{name: "cgroup", edit: hosttest.Cgroup2 + "-- sys/fs/cgroup/cgroup.controllers --\nhugetlb\n", want: `
ok cgroup: no cgroup above the guests limits huge pages`},
		{name: "cgroup that leaves nothing", edit: hosttest.Cgroup2 + "-- sys/fs/cgroup/cgroup.controllers --\nhugetlb\n" + hosttest.LimitFile("machine", "rsvd.max", "rsvd.current", "0", "0"), verdict: hostprep.BadHost, want: `
blocker cgroup: /sys/fs/cgroup/machine/hugetlb.2MB.rsvd.max leaves 0 pages of 2 MiB`},
		{name: "SELinux", edit: "-- sys/fs/selinux/enforce --\n0\n", want: `
ok SELinux: permissive: it blocks nothing`},
		{name: "AppArmor that libvirt leaves alone", edit: hosttest.AppArmor + "x\n-- etc/libvirt/qemu.conf --\nsecurity_driver = \"none\"\n", want: `
ok AppArmor: on; /etc/libvirt/qemu.conf disables it for guests`},

		{name: "KSM stopped", edit: "-- sys/kernel/mm/ksm/run --\n0\n-- sys/kernel/mm/ksm/pages_sharing --\n7\n", want: `
ok KSM: stopped: pages_sharing 7`},
		{name: "swap", edit: "-- proc/swaps --\nFilename Type Size Used Priority\n/dev/sda2 partition 4194304 1024 -2\n", want: `
ok swap: 1 MiB of 4 GiB in use`},

		{name: "libvirt answers", told: Libvirt{Version: 9000000, QEMU: 7002022}, want: `
ok libvirt: 9.0.0, libvirtd (process 500) has been running since 2001-09-09 02:07:14 UTC
ok QEMU: 7.2.22`},
		{name: "libvirt does not answer", told: Libvirt{Err: errors.New("gone")}, want: `
warning libvirt: libvirtd (process 500) has been running since 2001-09-09 02:07:14 UTC, but does not respond: gone`},
		{name: "no daemon", edit: "-- run/libvirt/qemu/driver.pid --\n", want: `
warning libvirt: installed, but libvirtd does not run`},
		{name: "a hook of somebody's", edit: "-- etc/libvirt/hooks/qemu.d/90-vmhuge --\n#!/bin/sh\n", want: `
warning hook: /etc/libvirt/hooks/qemu.d/90-vmhuge is not vmhuge's`},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines, verdict := fixtureLines(t, test.edit, test.told, test.prepare)
			var got []string
			for _, line := range lines {
				if !slices.Contains(well, line) {
					line, _, _ = strings.Cut(line, "cannot check")
					if strings.HasSuffix(line, ": ") {
						line += "cannot check"
					}
					got = append(got, line)
				}
			}
			if test.verdict == "" {
				test.verdict = hostprep.Ready
			}
			golden.Literal(t, test.want, strings.Join(got, "\n"))
			if verdict != test.verdict {
				t.Errorf("verdict %s, want %s", verdict, test.verdict)
			}
		})
	}
}

// A usual mode is never taken for one in decimal, and each one in decimal is
// found.
func TestSlipOf(t *testing.T) {
	for _, mode := range append(slices.Clone(usualModes), 0, 0o711, 0o751, 0o771, 0o1711, 0o1771, 0o555, 0o500) {
		if meant := slipOf(mode); meant != 0 {
			t.Errorf("%04o is taken for %04o", mode, meant)
		}
	}
	for slip, meant := range map[uint32]uint32{1770: 0o1770, 0o3353: 0o1770, 0o1352: 0o1770, 0o1353: 0o1770, 755: 0o755, 0o1373: 0o755, 770: 0o770, 700: 0o700} {
		if got := slipOf(slip); got != meant {
			t.Errorf("%04o is taken for %04o, not %04o", slip, got, meant)
		}
	}
}
