package check

import (
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// What starts a guest on other pages than its XML says, or kills it, is said before.
func TestOutcome(t *testing.T) {
	onHuge := "-- proc/self/mountinfo --\n" + hosttest.RootMounts + "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n"
	over := func(point, fs, options string) string {
		return onHuge + "60 44 0:60 / " + point + " rw - " + fs + " none rw" + options + "\n"
	}
	const secondDev = "62 24 0:62 / /dev rw - tmpfs none rw\n"
	const twoDevs = "-- proc/self/mountinfo --\n" + hosttest.RootMounts + secondDev + "44 62 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n"
	const accounting = "-- proc/self/mountinfo --\n" + hosttest.RootMounts +
		"44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n50 27 0:50 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate,memory_hugetlb_accounting\n"
	limited := func(mib int64) hostprep.Guest {
		return guesttest.Guest(func(g *hostprep.Guest) { g.Traits.LimitKiB = mib * 1024 })
	}
	by := func(libvirt uint32, also func(*hostprep.Guest)) hostprep.Guest {
		return guesttest.Guest(func(g *hostprep.Guest) {
			if g.Libvirt = libvirt; also != nil {
				also(g)
			}
		})
	}
	auto := guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Auto = true })
	for _, test := range []struct {
		name  string
		check Check
		edit  string
		guest hostprep.Guest
		want  string
	}{
		{"nothing below the hugetlbfs", Covered, onHuge, guesttest.Takes(1), ""},
		{"a tmpfs over libvirt's folder", Covered, over("/dev/hugepages/libvirt", "tmpfs", ""), guesttest.Takes(1),
			" blocker no-mount: tmpfs is mounted on /dev/hugepages/libvirt, over the hugetlbfs on /dev/hugepages: libvirt starts the guest, but not on pages of 2 MiB"},
		{"a file system over the driver's folder", Covered, over("/dev/hugepages/libvirt/qemu", "ext4", ""), guesttest.Takes(1),
			" blocker no-mount: ext4 is mounted on /dev/hugepages/libvirt/qemu, over the hugetlbfs on /dev/hugepages: libvirt starts the guest, but not on pages of 2 MiB"},
		{"pages of another size", Covered, over("/dev/hugepages/libvirt", "hugetlbfs", ",pagesize=1024M"), guesttest.Takes(1),
			" blocker no-mount: hugetlbfs is mounted on /dev/hugepages/libvirt, over the hugetlbfs on /dev/hugepages: libvirt starts the guest, but not on pages of 2 MiB"},
		{"pages of the same size", Covered, over("/dev/hugepages/libvirt", "hugetlbfs", ",pagesize=2M"), guesttest.Takes(1), ""},
		{"something else below", Covered, over("/dev/hugepages/dpdk", "tmpfs", ""), guesttest.Takes(1), ""},
		{"memfd has no folder", Covered, over("/dev/hugepages/libvirt", "tmpfs", ""), guesttest.Guest(guesttest.Memfd), ""},

		{"nothing below the first mount in /dev", DevMounts, onHuge + secondDev, guesttest.Takes(1), ""},
		{"a mount below it", DevMounts, over("/dev/hugepages/libvirt", "tmpfs", ""), guesttest.Takes(1), ""},
		{"and /dev mounted twice", DevMounts, over("/dev/hugepages/libvirt", "tmpfs", "") + secondDev, guesttest.Takes(1),
			" blocker bad-host: /dev is mounted twice, and libvirt then starts no guest with /dev/hugepages/libvirt mounted below /dev/hugepages"},
		{"on a memfd", DevMounts, over("/dev/hugepages/libvirt", "tmpfs", "") + secondDev, guesttest.Guest(guesttest.Memfd),
			" blocker bad-host: /dev is mounted twice, and libvirt then starts no guest with /dev/hugepages/libvirt mounted below /dev/hugepages"},
		{"below the second mount", DevMounts, over("/dev/hugepages/libvirt", "tmpfs", "") + secondDev + "61 24 0:61 / /dev/a rw - tmpfs none rw\n", guesttest.Takes(1), ""},
		{"two on one folder", DevMounts, over("/dev/hugepages", "tmpfs", "") + secondDev, guesttest.Takes(1), ""},
		{"nothing below the first of two, with an older libvirt", DevMounts, twoDevs, by(8007000, nil),
			" blocker bad-host: /dev is mounted twice, and libvirt 8.7.0 then hides /dev/hugepages from QEMU"},
		{"the same, with a newer one", DevMounts, twoDevs, by(8008000, nil), ""},
		{"the same, on a memfd", DevMounts, twoDevs, by(7000000, guesttest.Memfd), ""},
		{"/dev mounted once", DevMounts, onHuge, by(7000000, nil), ""},
		{"QEMU of an older libvirt with the host's /dev", DevMounts, twoDevs + "-- etc/libvirt/qemu.conf --\nnamespaces = []\n", by(7000000, nil), ""},
		{"memfd beside a mount that is read-only, with an older libvirt", Mount, strings.Replace(onHuge, "rw,pagesize", "ro,pagesize", 1), by(7000000, guesttest.Memfd), " blocker no-mount: /dev/hugepages is mounted read-only"},
		{"the same, with a newer one", Mount, strings.Replace(onHuge, "rw,pagesize", "ro,pagesize", 1), by(9000000, guesttest.Memfd), ""},

		{"QEMU with the host's /dev", DevMounts, over("/dev/hugepages/libvirt", "tmpfs", "") + secondDev + "-- etc/libvirt/qemu.conf --\nnamespaces = []\n", guesttest.Takes(1), ""},

		{"a limit where huge pages are no memory", MemoryCgroup, hosttest.Cgroup2, limited(1000), ""},
		{"a limit with room", MemoryCgroup, accounting, limited(2100), ""},
		{"a limit without room for QEMU", MemoryCgroup, accounting, limited(2000),
			" blocker bad-host: its <hard_limit> is 2000 MiB, and this host counts huge pages as memory (cgroup2 is mounted with memory_hugetlb_accounting)"},
		{"a limit with room for a small QEMU", MemoryCgroup, accounting, limited(2016),
			" warning unknown: its <hard_limit> is 2016 MiB, and this host counts huge pages as memory (cgroup2 is mounted with memory_hugetlb_accounting)"},
		{"a soft limit", MemoryCgroup, accounting, guesttest.Guest(func(g *hostprep.Guest) { g.Traits.SoftLimitKiB = 1000 * 1024 }),
			" warning : its <soft_limit> is 1000 MiB, and this host counts huge pages as memory (cgroup2 is mounted with memory_hugetlb_accounting)"},
		{"a slice with a soft limit", MemoryCgroup, accounting + "-- sys/fs/cgroup/machine/memory.high --\n1073741824\n-- sys/fs/cgroup/machine/memory.current --\n0\n", guesttest.Takes(1000),
			" warning : /sys/fs/cgroup/machine/memory.high leaves 1 GiB, and this host counts huge pages as memory (cgroup2 is mounted with memory_hugetlb_accounting)"},
		{"no limit", MemoryCgroup, accounting, guesttest.Takes(1000), ""},
		{"no huge pages", MemoryCgroup, accounting, hostprep.Guest{Traits: pages.Traits{LimitKiB: 1}}, ""},
		{"a slice with a limit", MemoryCgroup, accounting + "-- sys/fs/cgroup/machine/memory.max --\n4294967296\n-- sys/fs/cgroup/machine/memory.current --\n3221225472\n", guesttest.Takes(1000),
			" blocker bad-host: /sys/fs/cgroup/machine/memory.max leaves 1 GiB, and this host counts huge pages as memory (cgroup2 is mounted with memory_hugetlb_accounting)"},
		{"a slice without", MemoryCgroup, accounting + "-- sys/fs/cgroup/machine/memory.max --\nmax\n", guesttest.Takes(1000), ""},

		{"no numad", Numad, "-- etc/os-release --\nID=fedora\n", auto, " blocker bad-host: numad, which chooses the guest's nodes, is not installed"},
		{"numad that is not executable", Numad, "-- usr/bin/numad --\nELF\n", auto, " blocker bad-host: /usr/bin/numad is 0644 0:0: it is not executable"},
		{"numad without message queues", Numad, "-- usr/bin/numad --\nELF\n-- modes --\nusr/bin/numad 0755 0:0\n-- proc/sys/kernel/msgmni --\n0\n-- sys/devices/system/node/node0/cpulist --\n0-3\n", auto,
			" blocker bad-host: the kernel gives no message queues (kernel.msgmni), so that numad fails"},
		{"numad with message queues", Numad, "-- usr/bin/numad --\nELF\n-- modes --\nusr/bin/numad 0755 0:0\n-- proc/sys/kernel/msgmni --\n32000\n-- sys/devices/system/node/node0/cpulist --\n0-3\n", auto, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			findings, err := test.check.Detect(host.Host{Root: hosttest.Unpack(t, "one-node", test.edit)}, test.guest)
			got := guesttest.Show(findings)
			if err != nil || got != test.want {
				t.Errorf("%v\ngot  %s\nwant %s", err, got, test.want)
			}
			for _, f := range findings {
				if f.Need == "" || f.Do == "" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// A script that sets a pool by itself is named, with its lines, and makes a short
// pool uncertain: it may add the pages at the start.
func TestHookWrites(t *testing.T) {
	script := func(path, text string) string {
		return "-- etc/libvirt/hooks/" + path + " --\n#!/bin/bash\n" + text + "-- modes --\netc/libvirt/hooks/" + path + " 0755 0:0\n"
	}
	dispatcher := script("qemu", "HOOKPATH=$0.d/$1/$2/$3\n[ -d $HOOKPATH ] && for f in $HOOKPATH/*; do $f \"$@\"; done\n")
	for _, test := range []struct{ name, edit, want string }{
		{"no hook", "", ""},
		{"a hook that leaves the pools alone", script("qemu", "grep Huge /proc/meminfo\n# echo 5 > /proc/sys/vm/nr_hugepages\ncat /proc/sys/vm/nr_hugepages\n"), ""},
		{"one hook for all", script("qemu", "if [ $2 = prepare ]; then\n  echo 4096 > /proc/sys/vm/nr_hugepages\nelse\n  sysctl -w vm.nr_hugepages=0\nfi\n"),
			"/etc/libvirt/hooks/qemu sets the pool by itself: line 3: echo 4096 > /proc/sys/vm/nr_hugepages; line 5: sysctl -w vm.nr_hugepages=0"},
		{"with a variable", script("qemu.d/10-huge", "POOL=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages\necho 9 | tee $POOL\necho 9 > \"${POOL}\"\n"),
			"/etc/libvirt/hooks/qemu.d/10-huge sets the pool by itself: line 3: echo 9 | tee $POOL; line 4: echo 9 > \"${POOL}\""},
		{"a tree and what runs it", dispatcher + script("qemu.d/web1/prepare/begin/alloc_hugepages.sh", "echo $PAGES > /proc/sys/vm/nr_hugepages\n") +
			script("qemu.d/web1/release/end/dealloc.sh", "virsh allocpages 2M 0\n") + script("qemu.d/other/prepare/begin/alloc.sh", "echo 1 > /proc/sys/vm/nr_hugepages\n"),
			"/etc/libvirt/hooks/qemu.d/web1/prepare/begin/alloc_hugepages.sh sets the pool by itself: line 2: echo $PAGES > /proc/sys/vm/nr_hugepages\n" +
				"/etc/libvirt/hooks/qemu.d/web1/release/end/dealloc.sh sets the pool by itself: line 2: virsh allocpages 2M 0"},
		{"a tree that nothing runs", script("qemu.d/web1/prepare/begin/alloc_hugepages.sh", "echo 1 > /proc/sys/vm/nr_hugepages\n"), ""},
		{"a script that may not be run", dispatcher + "-- etc/libvirt/hooks/qemu.d/web1/prepare/begin/alloc.sh --\necho 1 > /proc/sys/vm/nr_hugepages\n", ""},
		{"a program", script("qemu", "\x00 > /proc/sys/vm/nr_hugepages\n"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "one-node", test.edit)}
			var got []string
			for _, f := range Run(h, guesttest.Takes(1300)) { // 100 more than are free
				switch {
				case f.Check == HookWrites.Name:
					got = append(got, f.Have)
				case f.Check == Pool.Name && (f.Verdict == hostprep.Unknown) != (test.want != ""):
					t.Errorf("%+v", f)
				}
			}
			if text := strings.Join(got, "\n"); text != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", text, test.want)
			}
		})
	}
}
