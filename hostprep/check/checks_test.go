package check

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/golden"
	"vmhuge/internal/pages"
)

var _ = flag.Bool("update", false, "write what the checks say anew, where the tests have it")

// s390x is a host with pages of 1 MiB whose module kvm has these parameters.
func s390x(hpage, nested string) string {
	return "-- pools --\nall 1024 2048 1200 0 0 0\nall 2097152 2 2 0 0 0\n0 1024 2048 1200 0\n0 2097152 2 2 0\n" +
		"-- proc/self/mountinfo --\n" + hosttest.RootMounts + "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=1M\n45 24 0:42 / /dev/hugepages2G rw - hugetlbfs none rw,pagesize=2048M\n" +
		"-- modes --\ndev/hugepages2G/libvirt/ 0755 0:0\ndev/hugepages2G/libvirt/qemu/ 0755 0:0\n" +
		"-- sys/module/kvm/parameters/hpage --\n" + hpage + "-- sys/module/kvm/parameters/nested --\n" + nested
}

func oneMiB(g *hostprep.Guest) {
	g.Demand.Items[0].PageSize, g.Demand.Items[0].MemoryKiB = pages.Size(pages.MiB), g.Demand.Items[0].Pages*1024
}

func TestChecks(t *testing.T) {
	for _, test := range []struct {
		name    string
		host    string
		edit    string
		prepare func(root string) error
		guest   hostprep.Guest
		want    string // each finding: check severity verdict [fixable] [restart]: have [changes]
		verdict hostprep.Verdict
		fixable bool
	}{
		{name: "all well", guest: guesttest.Takes(1200), verdict: hostprep.Ready, fixable: true},
		{name: "no huge pages at all", guest: hostprep.Guest{Demand: pages.Demand{Type: "kvm"}}, verdict: hostprep.Ready, fixable: true},

		{name: "no 1 GiB pages", host: "no-1g", guest: guesttest.Guest(guesttest.OneGiB), verdict: hostprep.BadHost, want: `
page-size blocker bad-host: the kernel has pages of 2 MiB, and the processor does not support 1 GiB`},
		{name: "1 GiB pages, and the kernel waits in a write", guest: guesttest.Guest(guesttest.OneGiB), verdict: hostprep.NoMount, edit: "-- run/vmhuge/writing-1048576kB.json --\n" +
			`{"pid":4711,"start":"88","file":"/sys/it","left":true}` + "\n-- proc/4711/stat --\n4711 (exe) D 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 88 1 1\n", want: `
mount blocker no-mount restart: no hugetlbfs with pages of 1 GiB is mounted [mkdir -m 0755 /dev/hugepages1G; mount -t hugetlbfs -o pagesize=1024M hugetlbfs /dev/hugepages1G]
pool blocker no-memory: 0 of 0 pages of 1 GiB are free; for 0 s the kernel has been waiting in a write of /sys/it, by process 4711, and until that ends it neither adds nor frees pages of 1 GiB`},
		{name: "arm64 has other sizes", host: "arm64-64k", guest: guesttest.Guest(guesttest.OneGiB), verdict: hostprep.BadHost, want: `
page-size blocker bad-host: the kernel has pages of 2 MiB, 512 MiB, 16 GiB`},
		{name: "unknown page size", guest: guesttest.Guest(func(g *hostprep.Guest) {
			g.Demand.Items[0].PageSize, g.Demand.Items[0].Pages, g.Demand.Items[0].Source = 0, -1, "memfd"
		}),
			verdict: hostprep.Unknown, fixable: true, want: `
page-size warning unknown: cannot check: the domain names no page size, and libvirt's default is not known`},

		{name: "SELinux would not let libvirt run the hook", host: "fedora-selinux", edit: hosttest.SELinux() + hosttest.HookContexts +
			"-- usr/lib/vmhuge/vmhuge-hook --\nprogram\n-- etc/libvirt/hooks/qemu.d/90-vmhuge --\nprogram\n-- modes --\netc/libvirt/hooks/qemu.d/90-vmhuge 0755 0:0\n",
			guest: guesttest.Takes(1), verdict: hostprep.BadHost, want: `
hook blocker bad-host: SELinux denies virtqemud_t execute, execute_no_trans of a file of type virt_hook_t (/etc/libvirt/hooks/qemu.d/90-vmhuge): virtqemud could not run the hook, and no guest would start`},

		{name: "no kvm", edit: "-- dev/kvm --\n", guest: guesttest.Takes(1), verdict: hostprep.BadHost, want: `
kvm blocker bad-host: there is no /dev/kvm`},
		{name: "kvm not needed", edit: "-- dev/kvm --\n", guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Type = "qemu" }), verdict: hostprep.Ready, fixable: true},
		{name: "kvm of root", edit: "-- modes --\ndev/kvm 0600 0:0\n", guest: guesttest.Takes(1), verdict: hostprep.BadHost, want: `
kvm blocker bad-host: /dev/kvm is 0600 0:0, and libvirt-qemu cannot open it`},
		{name: "kvm of root, QEMU of root", edit: "-- etc/libvirt/qemu.conf --\nuser = \"root\"\n-- modes --\ndev/kvm 0600 0:0\n", guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true},
		{name: "kvm of everybody but the group", edit: "-- modes --\ndev/kvm 0606 0:107\n", guest: guesttest.Takes(1), verdict: hostprep.BadHost, want: `
kvm blocker bad-host: /dev/kvm is 0606 0:107, and libvirt-qemu cannot open it`},

		{name: "mounted after libvirtd", edit: hosttest.NewMount, prepare: hosttest.NoBase, guest: guesttest.Takes(1), verdict: hostprep.NoMount, want: `
mount blocker no-mount restart: /dev/hugepages was mounted after libvirtd (process 500) started`},
		{name: "memfd needs no mount", edit: hosttest.NewMount, prepare: hosttest.NoBase, guest: guesttest.Guest(guesttest.Memfd), verdict: hostprep.Ready, fixable: true},
		{name: "no folder of libvirt's, but older than the daemon", prepare: func(root string) error {
			return errors.Join(hosttest.NoBase(root), os.WriteFile(root+"/proc/stat", []byte("btime 4000000000\n"), 0o644))
		}, guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true},
		{name: "no daemon: it reads the mounts when it starts", edit: hosttest.NewMount + "-- run/libvirt/qemu/driver.pid --\n", prepare: hosttest.NoBase, guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true},
		{name: "nothing mounted, nothing of libvirt", host: "no-libvirt", guest: guesttest.Takes(1), verdict: hostprep.NoMount, fixable: true, want: `
mount blocker no-mount fixable: no hugetlbfs with pages of 2 MiB is mounted [mkdir -m 0755 /dev/hugepages; mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages]`},
		{name: "in fstab, and not mounted", host: "no-libvirt", edit: "-- etc/fstab --\nnodev /mnt/huge hugetlbfs pagesize=2M,mode=1770,gid=107 0 0\n", guest: guesttest.Takes(1), verdict: hostprep.NoMount, fixable: true, want: `
mount blocker no-mount fixable: no hugetlbfs with pages of 2 MiB is mounted, though fstab has one on /mnt/huge [mkdir -m 0755 /mnt/huge; mount -t hugetlbfs -o pagesize=2M,gid=107,mode=1770 hugetlbfs /mnt/huge]`},
		{name: "the same, with a group by name and a limit", host: "no-libvirt", edit: "-- etc/fstab --\nnodev /mnt/huge hugetlbfs pagesize=2M,mode=1770,gid=kvm,size=1G,min_size=50% 0 0\n", guest: guesttest.Takes(1), verdict: hostprep.NoMount, fixable: true, want: `
mount blocker no-mount fixable: no hugetlbfs with pages of 2 MiB is mounted, though fstab has one on /mnt/huge [mkdir -m 0755 /mnt/huge; mount -t hugetlbfs -o pagesize=2M,gid=107,mode=1770,size=1073741824 hugetlbfs /mnt/huge]`},
		{name: "vanished, and libvirt did not show that it knew it", edit: "-- proc/self/mountinfo --\n" + hosttest.RootMounts, prepare: hosttest.NoBase, guest: guesttest.Takes(1), verdict: hostprep.NoMount, want: `
mount blocker no-mount restart: no hugetlbfs with pages of 2 MiB is mounted [mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages]`},
		{name: "vanished, and libvirt made its folder where it was", edit: "-- proc/self/mountinfo --\n" + hosttest.RootMounts, guest: guesttest.Takes(1), verdict: hostprep.NoMount, fixable: true, want: `
mount blocker no-mount fixable: no hugetlbfs with pages of 2 MiB is mounted [mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages]`},
		{name: "the same, of a libvirt that makes its folders for root alone", edit: "-- proc/self/mountinfo --\n" + hosttest.RootMounts, guest: guesttest.Guest(older), verdict: hostprep.NoMount, fixable: true, want: `
mount blocker no-mount fixable: no hugetlbfs with pages of 2 MiB is mounted [mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages; mkdir -m 0755 /dev/hugepages/libvirt; mkdir -m 0755 /dev/hugepages/libvirt/qemu]`},
		{name: "mounted again without folders, and libvirt makes them for root alone", edit: hosttest.NewMount, prepare: hosttest.NoBase, guest: guesttest.Guest(func(g *hostprep.Guest) { older(g); g.KnownSizes = []pages.Size{pages.Size2MiB} }), verdict: hostprep.NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt is not there, and libvirt 7.0.0 makes it for root alone [mkdir -m 0755 /dev/hugepages/libvirt; mkdir -m 0755 /dev/hugepages/libvirt/qemu]`},
		{name: "the same, and libvirt makes them for QEMU", edit: hosttest.NewMount, prepare: hosttest.NoBase, guest: guesttest.Guest(func(g *hostprep.Guest) { g.KnownSizes = []pages.Size{pages.Size2MiB} }), verdict: hostprep.Ready, fixable: true},
		{name: "another size is mounted in its place", edit: mountedWith("pagesize=1024M"), guest: guesttest.Takes(1), verdict: hostprep.NoMount, want: `
mount blocker no-mount restart: no hugetlbfs with pages of 2 MiB is mounted [mkdir -m 0755 /dev/hugepages2M; mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages2M]`},
		{name: "vanished from qemu.conf's place", edit: "-- modes --\nmnt/huge/ 0755 0:0\n-- proc/self/mountinfo --\n" + hosttest.RootMounts + "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"/mnt/huge\"\n",
			guest: guesttest.Takes(1), verdict: hostprep.NoMount, fixable: true, want: `
mount blocker no-mount fixable: no hugetlbfs with pages of 2 MiB is mounted on a hugetlbfs_mount of qemu.conf [mount -t hugetlbfs -o pagesize=2M hugetlbfs /mnt/huge]`},
		{name: "qemu.conf's place is for another size", edit: "-- run/libvirt/qemu/driver.pid --\n-- proc/self/mountinfo --\n" + hosttest.RootMounts + "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages1G\"]\n", guest: guesttest.Takes(1), verdict: hostprep.BadHost, want: `
mount blocker no-mount: no hugetlbfs with pages of 2 MiB is mounted on a hugetlbfs_mount of qemu.conf
mount blocker bad-host: hugetlbfs_mount in /etc/libvirt/qemu.conf names /dev/hugepages1G, which is not on a hugetlbfs`},
		{name: "mounted, but not qemu.conf's", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = []\n", guest: guesttest.Takes(1), verdict: hostprep.NoMount, want: `
mount blocker no-mount: no hugetlbfs with pages of 2 MiB is mounted on a hugetlbfs_mount of qemu.conf`},
		{name: "one of two entries is no hugetlbfs", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\", \"/mnt/huge1G\"]\n", guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true, want: `
mount warning : hugetlbfs_mount in /etc/libvirt/qemu.conf names /mnt/huge1G, which is not on a hugetlbfs`},
		{name: "one of two entries is no hugetlbfs, and no daemon", edit: "-- run/libvirt/qemu/driver.pid --\n-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\", \"/mnt/huge1G\"]\n", guest: guesttest.Takes(1), verdict: hostprep.BadHost, want: `
mount blocker bad-host: hugetlbfs_mount in /etc/libvirt/qemu.conf names /mnt/huge1G, which is not on a hugetlbfs`},
		{name: "hugetlbfs_mount empty", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"\"\n", guest: guesttest.Guest(guesttest.Memfd), verdict: hostprep.BadHost, want: `
mount blocker bad-host: hugetlbfs_mount = "" in /etc/libvirt/qemu.conf keeps libvirt from starting its QEMU driver`},
		{name: "default size without a mount", host: "no-libvirt", guest: guesttest.Guest(func(g *hostprep.Guest) { guesttest.Memfd(g); g.Demand.DefaultSize = true }), verdict: hostprep.NoMount, want: `
mount blocker no-mount: libvirt knows no hugetlbfs mount, and the domain names no page size`},
		{name: "bad qemu.conf", edit: "-- etc/libvirt/qemu.conf --\nuser = libvirt\n", guest: guesttest.Takes(1), verdict: hostprep.Unknown, fixable: true, want: `
qemu-conf warning unknown: /etc/libvirt/qemu.conf: line 1: expected a string, a number or a list`},
		{name: "bad qemu.conf, and no daemon", edit: "-- run/libvirt/qemu/driver.pid --\n-- etc/libvirt/qemu.conf --\nuser = 107\n", guest: guesttest.Takes(1), verdict: hostprep.BadHost, want: `
qemu-conf blocker bad-host: /etc/libvirt/qemu.conf: line 1: libvirt expects a string as user`},
		{name: "read-only, and not even the guest's own", edit: "-- modes --\ndev/big/libvirt/qemu/ 0755 0:0\n-- proc/self/mountinfo --\n" + hosttest.RootMounts +
			"44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 24 0:42 / /dev/big ro - hugetlbfs none rw,pagesize=1024M\n", guest: guesttest.Takes(1), verdict: hostprep.NoMount, want: `
mount blocker no-mount: /dev/big is mounted read-only`},
		{name: "read-only does not matter to memfd", edit: "-- proc/self/mountinfo --\n" + hosttest.RootMounts + "44 24 0:41 / /dev/hugepages ro - hugetlbfs none rw,pagesize=2M\n", guest: guesttest.Guest(guesttest.Memfd), verdict: hostprep.Ready, fixable: true},
		{name: "size=", edit: mountedWith("pagesize=2M,size=1048576000"), guest: guesttest.Takes(501), verdict: hostprep.NoMount, want: `
mount blocker no-mount: 500 pages of 2 MiB of 1000 MiB are free on /dev/hugepages, which is mounted with size=1048576000`},
		{name: "size= holds it", edit: mountedWith("pagesize=2M,size=1048576000"), guest: guesttest.Takes(500), verdict: hostprep.Ready, fixable: true},
		{name: "size= does not matter to memfd", edit: mountedWith("pagesize=2M,size=1048576000"), guest: guesttest.Guest(guesttest.Memfd), verdict: hostprep.Ready, fixable: true},
		{name: "nr_inodes=", edit: mountedWith("pagesize=2M,nr_inodes=4"), guest: guesttest.Takes(1), verdict: hostprep.NoMount, want: `
mount blocker no-mount: 1 more files fit on /dev/hugepages, which is mounted with nr_inodes=4`},
		{name: "nr_inodes= holds it", edit: mountedWith("pagesize=2M,nr_inodes=5"), guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true},
		{name: "something mounted over it", edit: "-- proc/self/mountinfo --\n" + hosttest.RootMounts +
			"44 27 0:41 / /mnt/huge rw - hugetlbfs none rw,pagesize=2M\n45 44 0:42 / /mnt/huge rw - tmpfs none rw\n46 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n",
			guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true, want: `
mount warning : a tmpfs is mounted over the hugetlbfs on /mnt/huge`},
		{name: "a disk mounted over it", edit: "-- proc/self/mountinfo --\n" + hosttest.RootMounts +
			"44 27 0:41 / /mnt/huge rw - hugetlbfs none rw,pagesize=2M\n45 44 0:42 / /mnt/huge rw - ext4 none rw\n46 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n",
			guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true, want: `
mount warning : an ext4 is mounted over the hugetlbfs on /mnt/huge`},

		{name: "session", guest: guesttest.Guest(func(g *hostprep.Guest) {
			g.Session, g.UID, g.Conf = true, 1000, "/home/alice/.config/libvirt/qemu.conf"
		}), verdict: hostprep.NoMount, want: `
mount blocker no-mount: the user's qemu.conf names no hugetlbfs_mount of this size that the user can write to`},
		{name: "session with memfd", guest: guesttest.Guest(func(g *hostprep.Guest) { guesttest.Memfd(g); g.Session, g.UID = true, 1000 }), verdict: hostprep.Ready, fixable: true},
		{name: "session with a folder of its own", edit: "-- modes --\ndev/hugepages/alice/ 0700 1000:1000\n-- home/alice/.config/libvirt/qemu.conf --\nhugetlbfs_mount = \"/dev/hugepages/alice\"\n",
			guest: guesttest.Guest(func(g *hostprep.Guest) {
				g.Session, g.UID, g.Conf = true, 1000, "/home/alice/.config/libvirt/qemu.conf"
			}), verdict: hostprep.Ready, fixable: true},
		{name: "session with a folder of root's", edit: "-- home/alice/.config/libvirt/qemu.conf --\nhugetlbfs_mount = \"/dev/hugepages\"\n",
			guest: guesttest.Guest(func(g *hostprep.Guest) {
				g.Session, g.UID, g.Conf = true, 1000, "/home/alice/.config/libvirt/qemu.conf"
			}), verdict: hostprep.NoMount, want: `
mount blocker no-mount: the user's qemu.conf names no hugetlbfs_mount of this size that the user can write to`},

		{name: "the mount's root is libvirt's to open", edit: "-- modes --\ndev/hugepages 1770 0:0\n", guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true},
		{name: "folders that nobody may search", edit: "-- modes --\ndev/hugepages/libvirt 0700 0:0\ndev/hugepages/libvirt/qemu 0740 0:107\n", guest: guesttest.Takes(1), verdict: hostprep.NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt is 0700 0:0 [chmod 0701 /dev/hugepages/libvirt (was 0700)]
path blocker no-access fixable: /dev/hugepages/libvirt/qemu is 0740 0:107 [chmod 0750 /dev/hugepages/libvirt/qemu (was 0740)]`},
		{name: "0750 root:kvm is enough", edit: "-- modes --\ndev/hugepages/libvirt/qemu 0750 0:107\n", guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true},
		{name: "of the QEMU user, who may not", edit: "-- modes --\ndev/hugepages/libvirt/qemu 0611 64055:0\n", guest: guesttest.Takes(1), verdict: hostprep.NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt/qemu is 0611 64055:0 [chmod 0711 /dev/hugepages/libvirt/qemu (was 0611)]`},
		{name: "root passes", edit: "-- etc/libvirt/qemu.conf --\nuser = \"root\"\n-- modes --\ndev/hugepages/libvirt 0700 1000:0\n", guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true},
		{name: "folders do not matter to memfd", edit: "-- modes --\ndev/hugepages/libvirt 0700 0:0\n", guest: guesttest.Guest(guesttest.Memfd), verdict: hostprep.Ready, fixable: true},
		{name: "libvirt is no folder", edit: hosttest.NewMount + "-- run/libvirt/qemu/driver.pid --\n", prepare: func(root string) error {
			return errors.Join(hosttest.NoBase(root), os.Symlink("/tmp", root+"/dev/hugepages/libvirt"))
		}, guest: guesttest.Takes(1), verdict: hostprep.NoAccess, want: `
path blocker no-access: /dev/hugepages/libvirt is not a folder`},
		{name: "left by a crash", edit: "-- modes --\ndev/hugepages/libvirt/qemu/4-web1/ 0700 0:0\n", guest: guesttest.Takes(1), verdict: hostprep.NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt/qemu/4-web1 is left from an earlier start and belongs to another user: 0700 0:0 [rmdir /dev/hugepages/libvirt/qemu/4-web1 (was 0700 0:0)]`},
		{name: "left by a crash, long name", edit: "-- modes --\ndev/hugepages/libvirt/qemu/4-äbcdefghijklmnopqrst/ 0700 0:0\n",
			guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Domain = "äbcdefghijklmnopqrstuvw" }), verdict: hostprep.NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt/qemu/4-äbcdefghijklmnopqrst is left from an earlier start and belongs to another user: 0700 0:0 [rmdir /dev/hugepages/libvirt/qemu/4-äbcdefghijklmnopqrst (was 0700 0:0)]`},
		{name: "left by a crash, for a later start", edit: "-- modes --\ndev/hugepages/libvirt/qemu/7-web1/ 0700 0:0\n", guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true, want: `
path warning  fixable: /dev/hugepages/libvirt/qemu/7-web1 is left from an earlier start and belongs to another user: 0700 0:0; the guest's start would fail on it if it became number 7 since libvirtd started [rmdir /dev/hugepages/libvirt/qemu/7-web1 (was 0700 0:0)]`},
		{name: "folders that harm nobody", edit: `-- modes --
dev/hugepages/libvirt/qemu/3-web1/ 0700 1000:1000
dev/hugepages/libvirt/qemu/2-web1/ 0700 1000:1000
dev/hugepages/libvirt/qemu/7-web1/ 0700 64055:64055
dev/hugepages/libvirt/qemu/8-web11/ 0700 0:0
dev/hugepages/libvirt/qemu/x-web1/ 0700 0:0
`, guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true},
		{name: "in the hook only the start's own id counts", edit: "-- modes --\ndev/hugepages/libvirt/qemu/7-web1/ 0700 0:0\ndev/hugepages/libvirt/qemu/8-web1/ 0700 0:0\n",
			guest: guesttest.Guest(func(g *hostprep.Guest) { g.ID, g.RunningIDs = 8, nil }), verdict: hostprep.NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt/qemu/8-web1 is left from an earlier start and belongs to another user: 0700 0:0 [rmdir /dev/hugepages/libvirt/qemu/8-web1 (was 0700 0:0)]`},

		{name: "a hook of somebody else", edit: "-- etc/libvirt/hooks/qemu.d/10-mine --\n#!/bin/sh\n-- modes --\netc/libvirt/hooks/qemu.d/10-mine 0755 0:0\n", guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true, want: `
hook note : libvirt runs /etc/libvirt/hooks/qemu.d/10-mine before the start`},
		{name: "a file that is no hook", edit: "-- etc/libvirt/hooks/qemu.d/10-mine --\n#!/bin/sh\n-- modes --\netc/libvirt/hooks/qemu.d/10-mine 0644 0:0\n", guest: guesttest.Takes(1), verdict: hostprep.Ready, fixable: true},

		{name: "short", guest: guesttest.Takes(1201), verdict: hostprep.NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free`},
		{name: "short, and the host has no more", guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Items[0].Pages, g.HeadroomKiB = 1201, 2047 }), verdict: hostprep.NoMemory, want: `
pool blocker no-memory: 1200 of 2048 pages of 2 MiB are free; 1 more page of 2 MiB is needed: 1 is missing, as the kernel can allocate 0`},
		{name: "short, by a page of what the host could give", edit: "-- proc/buddyinfo --\n" + hosttest.Buddyinfo + "-- proc/zoneinfo --\n" + hosttest.Zoneinfo, guest: guesttest.Takes(1200 + 4096 + 1), verdict: hostprep.NoMemory, want: `
pool blocker no-memory: 1200 of 2048 pages of 2 MiB are free; the kernel could allocate 1600 more now, 4096 after compaction (the host keeps 0 KiB for itself): 1 is missing`},
		{name: "short, by more", edit: "-- proc/buddyinfo --\n" + hosttest.Buddyinfo + "-- proc/zoneinfo --\n" + hosttest.Zoneinfo, guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Items[0].Pages, g.HeadroomKiB = 1300, 1<<10 }), verdict: hostprep.NoMemory, want: `
pool blocker no-memory: 1200 of 2048 pages of 2 MiB are free; the kernel could allocate no more (the host keeps 0 KiB for itself): 100 are missing`},
		{name: "promised to others", guest: guesttest.Guest(func(g *hostprep.Guest) { g.Pending = guesttest.Pending(300) }), verdict: hostprep.NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free, 300 of them promised to guests that are starting`},
		{name: "reserved", edit: "-- pools --\nall 2048 2048 1200 1199 0 0\n0 2048 2048 1200 0\n", guest: guesttest.Takes(2), verdict: hostprep.NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free, 1199 of them reserved by running programs`},
		{name: "reserved by min_size= of another mount", edit: "-- proc/self/mountinfo --\n" + hosttest.RootMounts + "44 24 0:41 / /dev/hugepages rw - hugetlbfs hugetlbfs rw,pagesize=2M\n45 24 0:42 / /dev/other rw - hugetlbfs hugetlbfs rw,pagesize=2M,min_size=2097152000\n-- pools --\nall 2048 2048 1200 1000 0 0\n0 2048 2048 1200 0\n",
			guest: guesttest.Takes(1100), verdict: hostprep.NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free, 1000 of them reserved by running programs, some perhaps for guests on /dev/other (min_size=2097152000)`},
		{name: "kept by min_size= of its own mount", edit: mountedWith("pagesize=2M,min_size=2097152000") + "-- pools --\nall 2048 2048 1200 1000 0 0\n0 2048 2048 1200 0\n", guest: guesttest.Takes(1100), verdict: hostprep.Ready, fixable: true},
		{name: "kept by min_size= of its own mount, and forgotten", edit: mountedWith("pagesize=2M,min_size=2097152000") + "-- pools --\nall 2048 2048 1200 0 0 0\n0 2048 2048 1200 0\n", guest: guesttest.Takes(1201), verdict: hostprep.NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free`},
		{name: "kept by min_size= of its own mount, and forgotten in part", edit: mountedWith("pagesize=2M,min_size=2097152000") + "-- pools --\nall 2048 2048 1200 999 0 0\n0 2048 2048 1200 0\n", guest: guesttest.Takes(1201), verdict: hostprep.NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free, 999 of them reserved by running programs`},
		{name: "kept by min_size= of its own mount, and short", edit: mountedWith("pagesize=2M,min_size=2097152000") + "-- pools --\nall 2048 2048 1200 1000 0 0\n0 2048 2048 1200 0\n", guest: guesttest.Takes(1201), verdict: hostprep.NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free, 1000 of them reserved by running programs`},
		{name: "overcommit makes the rest", edit: "-- pools --\nall 2048 40 20 0 5 17\n0 2048 40 20 5\n", guest: guesttest.Takes(32), verdict: hostprep.Ready, fixable: true, want: `
pool note : 20 of 40 pages of 2 MiB are free`},
		{name: "overcommit is not enough", edit: "-- pools --\nall 2048 40 20 0 5 16\n0 2048 40 20 5\n", guest: guesttest.Takes(32), verdict: hostprep.NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 20 of 40 pages of 2 MiB are free`},
		{name: "a node that is not there", guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.CPUSetNodes = "0-1" }), verdict: hostprep.BadDomain, want: `
pool blocker bad-domain: node 1, which <numatune> names, does not exist: the host has node 0`},
		{name: "numad, one node", edit: "-- usr/bin/numad --\nELF\n-- modes --\nusr/bin/numad 0755 0:0\n", guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Auto = true }), verdict: hostprep.Ready, fixable: true},
		{name: "numad, two nodes", host: "two-nodes", edit: "-- usr/bin/numad --\nELF\n-- modes --\nusr/bin/numad 0755 0:0\n", guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Auto = true }), verdict: hostprep.Unknown, fixable: true, want: `
pool warning unknown: numad chooses the guest's nodes only when it starts, so whether they have the pages is not known before`},
		{name: "node 0 has no memory to make pages of", host: "node0-full", guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.CPUSetNodes = "0" }), verdict: hostprep.NoMemory, want: `
pool blocker no-memory: 0 of 3000 pages of 2 MiB are free on node 0: 1000 are missing`},
		{name: "node 1 has", host: "node0-full", guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.CPUSetNodes = "1" }), verdict: hostprep.Ready, fixable: true},

		{name: "s390x without hpage", edit: s390x("N\n", "1\n"), guest: guesttest.Guest(oneMiB), verdict: hostprep.BadHost, want: `
kvm-pages blocker bad-host: the module kvm was loaded without hpage=1 and with nested=1, which before Linux 7.0 excludes that`},
		{name: "s390x without hpage or nested", edit: s390x("0\n", "0\n"), guest: guesttest.Guest(oneMiB), verdict: hostprep.BadHost, want: `
kvm-pages blocker bad-host: the module kvm was loaded without hpage=1`},
		{name: "s390x without hpage, emulated", edit: s390x("0\n", "0\n"), guest: guesttest.Guest(func(g *hostprep.Guest) { oneMiB(g); g.Demand.Type = "qemu" }), verdict: hostprep.Ready, fixable: true},
		{name: "s390x with hpage", edit: s390x("1\n", "0\n"), guest: guesttest.Guest(oneMiB), verdict: hostprep.Ready, fixable: true},
		{name: "s390x with pages of 2 GiB", edit: s390x("1\n", "0\n"), guest: guesttest.Guest(func(g *hostprep.Guest) {
			oneMiB(g)
			g.Demand.Items[0].PageSize, g.Demand.Items[0].Pages = pages.Size(2<<30), 1
		}), verdict: hostprep.BadHost, want: `
kvm-pages blocker bad-host: KVM on s390x takes no pages of 2 GiB`},
		{name: "the heaviest comes first", edit: "-- dev/kvm --\n", guest: guesttest.Takes(1201), verdict: hostprep.BadHost, want: `
kvm blocker bad-host: there is no /dev/kvm
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.host == "" {
				test.host = "one-node"
			}
			h := host.Host{Root: hosttest.Unpack(t, test.host, test.edit)}
			if test.prepare != nil {
				hosttest.Must(t, test.prepare(h.Root.Path()))
			}
			findings := Run(h, test.guest)
			golden.Literal(t, test.want, guesttest.Show(findings))
			verdict, ready, fixable := hostprep.Conclude(findings)
			if verdict != test.verdict || ready != (verdict == hostprep.Ready) || fixable != test.fixable {
				t.Errorf("verdict %s, ready %t, fixable %t; want %s, fixable %t", verdict, ready, fixable, test.verdict, test.fixable)
			}
			for _, f := range findings {
				if f.Need == "" || f.Do == "" && f.Verdict != hostprep.Unknown {
					t.Errorf("%+v does not say what to do", f)
				}
			}
			text, err := json.Marshal(findings)
			if err != nil || strings.Contains(string(text), "null") {
				t.Errorf("JSON is %s, %v", text, err)
			}
			// With split daemons, the same of the other daemon.
			h = host.Host{Root: hosttest.Unpack(t, test.host, test.edit)}
			if test.prepare != nil {
				hosttest.Must(t, test.prepare(h.Root.Path()))
			}
			hosttest.Split(t, h.Root.Path())
			split, err := json.Marshal(Run(h, test.guest))
			if diff := cmp.Diff(strings.ReplaceAll(string(text), "libvirtd", "virtqemud"), string(split)); diff != "" || err != nil {
				t.Errorf("with virtqemud: %s%v", diff, err)
			}
		})
	}
}

// The pools that grow are shown on the nodes where the guest needs the pages,
// or on the one that has the most memory to make them of.
func TestPoolChanges(t *testing.T) {
	const file = "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages"
	for name, test := range map[string]struct {
		guest hostprep.Guest
		want  []change.Change
	}{
		"any node": {guesttest.Takes(1300), []change.Change{{Kind: change.KindPool, Path: fmt.Sprintf(file, 0), From: "1024", To: "1124"}}},
		"node 0":   {guesttest.Guest(func(g *hostprep.Guest) { g.Demand.CPUSetNodes = "0" }), []change.Change{{Kind: change.KindPool, Path: fmt.Sprintf(file, 0), From: "1024", To: "1724"}}},
	} {
		var got []change.Change
		for _, f := range Run(host.Host{Root: hosttest.Unpack(t, "two-nodes", "")}, test.guest) {
			got = append(got, f.Changes...)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// older is a guest of a libvirt that makes its folders only when it starts.
func older(g *hostprep.Guest) { g.Libvirt = 7000000 }

// mountedWith is a host whose /dev/hugepages has these options.
func mountedWith(options string) string {
	return "-- proc/self/mountinfo --\n" + hosttest.RootMounts + "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw," + options + "\n"
}

// What a check could not read is a finding, whoever runs it.
func TestRunSaysWhatItCouldNotTell(t *testing.T) {
	verdict, ready, _ := hostprep.Conclude(Run(host.Host{Root: "/nowhere"}, guesttest.Takes(1)))
	if verdict == hostprep.Ready || ready {
		t.Errorf("a host without files is %s, %t", verdict, ready)
	}
}

func TestBindingsThatContradict(t *testing.T) {
	const blocker = "pool blocker bad-domain: <numatune><memory> allows only node 0"
	for mode, want := range map[pages.Mode]string{
		pages.Strict: blocker, pages.Preferred: blocker, pages.Interleave: blocker, pages.Restrictive: "",
	} {
		g := guesttest.Takes(1)
		g.Demand.CPUSetNodes = "0"
		g.Demand.Items[0].HostNodes, g.Demand.Items[0].Mode = "1", mode
		if got := guesttest.Show(Run(host.Host{Root: hosttest.Unpack(t, "two-nodes", "")}, g)); got != want {
			t.Errorf("%s: got %s, want %s", mode, got, want)
		}
	}
}
