package hostprep

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// takes is a guest that takes pages of 2 MiB in one backend.
func takes(n int64) Guest {
	return NewGuest(
		pages.Demand{Domain: "web1", Type: "kvm", Backing: pages.Hugetlb,
			Items: []pages.Item{{GuestNode: -1, Kind: pages.RAM, PageSize: pages.Size2MiB, Pages: n, MemoryKiB: n * 2048, Source: "file"}}},
		pages.Traits{}, SystemStarter(UnknownVersion, UnknownVersion), IDs{UnknownID, []int{3}}, Allowance{HeadroomKiB: 8 << 20})
}

// guest is a guest of 1000 pages with something else.
func guest(change func(*Guest)) Guest { g := takes(1000); change(&g); return g }

func memfd(g *Guest) { g.Demand.Items[0].Source = "memfd" }

func oneGiB(g *Guest) { g.Demand.Items[0].PageSize, g.Demand.Items[0].Pages = pages.Size1GiB, 1 }

const newMount = "-- modes --\ndev/hugepages/ 0755 0:0\n" // with noBase: libvirtd has made no folder on it

func TestChecks(t *testing.T) {
	for _, test := range []struct {
		name    string
		host    string
		edit    string
		prepare func(root string) error
		guest   Guest
		want    string // each finding: check severity verdict [fixable] [restart]: have [changes]
		verdict Verdict
		fixable bool
	}{
		{name: "all well", guest: takes(1200), verdict: Ready, fixable: true},
		{name: "no huge pages at all", guest: Guest{Demand: pages.Demand{Type: "kvm"}}, verdict: Ready, fixable: true},

		{name: "no 1 GiB pages", host: "no-1g", guest: guest(oneGiB), verdict: BadHost, want: `
page-size blocker bad-host: the kernel has pages of 2 MiB, and the processor cannot map 1 GiB
mount blocker no-mount restart: no hugetlbfs with pages of 1 GiB is mounted [mkdir -m 0755 /dev/hugepages1G; mount -t hugetlbfs -o pagesize=1024M hugetlbfs /dev/hugepages1G]`},
		{name: "arm64 has other sizes", host: "arm64-64k", guest: guest(oneGiB), verdict: BadHost, want: `
page-size blocker bad-host: the kernel has pages of 2 MiB, 512 MiB, 16 GiB
mount blocker no-mount restart: no hugetlbfs with pages of 1 GiB is mounted [mkdir -m 0755 /dev/hugepages1G; mount -t hugetlbfs -o pagesize=1024M hugetlbfs /dev/hugepages1G]`},
		{name: "unknown page size", guest: guest(func(g *Guest) {
			g.Demand.Items[0].PageSize, g.Demand.Items[0].Pages, g.Demand.Items[0].Source = 0, -1, "memfd"
		}),
			verdict: Unknown, fixable: true, want: `
page-size warning unknown: could not tell: the domain leaves the page size to libvirt, and it is not known`},

		{name: "no kvm", edit: "-- dev/kvm --\n", guest: takes(1), verdict: BadHost, want: `
kvm blocker bad-host: there is no /dev/kvm`},
		{name: "kvm not needed", edit: "-- dev/kvm --\n", guest: guest(func(g *Guest) { g.Demand.Type = "qemu" }), verdict: Ready, fixable: true},
		{name: "kvm of root", edit: "-- modes --\ndev/kvm 0600 0:0\n", guest: takes(1), verdict: BadHost, want: `
kvm blocker bad-host: /dev/kvm is 0600 0:0, and libvirt-qemu may not open it`},
		{name: "kvm of root, QEMU of root", edit: "-- etc/libvirt/qemu.conf --\nuser = \"root\"\n-- modes --\ndev/kvm 0600 0:0\n", guest: takes(1), verdict: Ready, fixable: true},
		{name: "kvm of everybody but the group", edit: "-- modes --\ndev/kvm 0606 0:107\n", guest: takes(1), verdict: BadHost, want: `
kvm blocker bad-host: /dev/kvm is 0606 0:107, and libvirt-qemu may not open it`},

		{name: "mounted after libvirtd", edit: newMount, prepare: noBase, guest: takes(1), verdict: NoMount, want: `
mount blocker no-mount restart: /dev/hugepages was mounted after libvirtd (process 500) started`},
		{name: "memfd needs no mount", edit: newMount, prepare: noBase, guest: guest(memfd), verdict: Ready, fixable: true},
		{name: "no folder of libvirt's, but older than the daemon", prepare: func(root string) error {
			return errors.Join(noBase(root), os.WriteFile(root+"/proc/stat", []byte("btime 4000000000\n"), 0o644))
		}, guest: takes(1), verdict: Ready, fixable: true},
		{name: "no daemon: it reads the mounts when it starts", edit: newMount + "-- run/libvirt/qemu/driver.pid --\n", prepare: noBase, guest: takes(1), verdict: Ready, fixable: true},
		{name: "nothing mounted, nothing of libvirt", host: "no-libvirt", guest: takes(1), verdict: NoMount, fixable: true, want: `
mount blocker no-mount fixable: no hugetlbfs with pages of 2 MiB is mounted [mkdir -m 0755 /dev/hugepages; mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages]`},
		{name: "vanished, and libvirt did not show that it knew it", edit: "-- proc/self/mountinfo --\n" + rootMounts, prepare: noBase, guest: takes(1), verdict: NoMount, want: `
mount blocker no-mount restart: no hugetlbfs with pages of 2 MiB is mounted [mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages]`},
		{name: "vanished, and libvirt made its folder where it was", edit: "-- proc/self/mountinfo --\n" + rootMounts, guest: takes(1), verdict: NoMount, fixable: true, want: `
mount blocker no-mount fixable: no hugetlbfs with pages of 2 MiB is mounted [mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages]`},
		{name: "another size is mounted in its place", edit: mountedWith("pagesize=1024M"), guest: takes(1), verdict: NoMount, want: `
mount blocker no-mount restart: no hugetlbfs with pages of 2 MiB is mounted [mkdir -m 0755 /dev/hugepages2M; mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages2M]`},
		{name: "vanished from qemu.conf's place", edit: "-- modes --\nmnt/huge/ 0755 0:0\n-- proc/self/mountinfo --\n" + rootMounts + "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"/mnt/huge\"\n",
			guest: takes(1), verdict: NoMount, fixable: true, want: `
mount blocker no-mount fixable: no hugetlbfs with pages of 2 MiB is mounted on a hugetlbfs_mount of qemu.conf [mount -t hugetlbfs -o pagesize=2M hugetlbfs /mnt/huge]`},
		{name: "mounted, but not qemu.conf's", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = []\n", guest: takes(1), verdict: NoMount, want: `
mount blocker no-mount: no hugetlbfs with pages of 2 MiB is mounted on a hugetlbfs_mount of qemu.conf`},
		{name: "hugetlbfs_mount empty", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"\"\n", guest: guest(memfd), verdict: BadHost, want: `
mount blocker bad-host: hugetlbfs_mount = "" in /etc/libvirt/qemu.conf keeps libvirt 9.0 from starting its QEMU driver`},
		{name: "default size without a mount", host: "no-libvirt", guest: guest(func(g *Guest) { memfd(g); g.Demand.DefaultSize = true }), verdict: NoMount, want: `
mount blocker no-mount: libvirt knows no hugetlbfs, and the domain names no page size`},
		{name: "bad qemu.conf", edit: "-- etc/libvirt/qemu.conf --\nuser = libvirt\n", guest: takes(1), verdict: Unknown, fixable: true, want: `
kvm warning unknown: could not tell: /etc/libvirt/qemu.conf: line 1: expected a string, a number or a list
mount warning unknown: could not tell: /etc/libvirt/qemu.conf: line 1: expected a string, a number or a list
path warning unknown: could not tell: /etc/libvirt/qemu.conf: line 1: expected a string, a number or a list`},
		{name: "read-only, and not even the guest's own", edit: "-- modes --\ndev/big/libvirt/qemu/ 0755 0:0\n-- proc/self/mountinfo --\n" + rootMounts +
			"44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 24 0:42 / /dev/big ro - hugetlbfs none rw,pagesize=1024M\n", guest: takes(1), verdict: NoMount, want: `
mount blocker no-mount: /dev/big is mounted read-only`},
		{name: "read-only does not matter to memfd", edit: "-- proc/self/mountinfo --\n" + rootMounts + "44 24 0:41 / /dev/hugepages ro - hugetlbfs none rw,pagesize=2M\n", guest: guest(memfd), verdict: Ready, fixable: true},
		{name: "size=", edit: mountedWith("pagesize=2M,size=1048576000"), guest: takes(501), verdict: NoMount, want: `
mount blocker no-mount: 500 pages of 2 MiB of 1000 MiB are free on /dev/hugepages, which is mounted with size=1048576000`},
		{name: "size= holds it", edit: mountedWith("pagesize=2M,size=1048576000"), guest: takes(500), verdict: Ready, fixable: true},
		{name: "size= does not matter to memfd", edit: mountedWith("pagesize=2M,size=1048576000"), guest: guest(memfd), verdict: Ready, fixable: true},
		{name: "nr_inodes=", edit: mountedWith("pagesize=2M,nr_inodes=4"), guest: takes(1), verdict: NoMount, want: `
mount blocker no-mount: 1 files more may be made on /dev/hugepages, which is mounted with nr_inodes=4`},
		{name: "nr_inodes= holds it", edit: mountedWith("pagesize=2M,nr_inodes=5"), guest: takes(1), verdict: Ready, fixable: true},
		{name: "something mounted over it", edit: "-- proc/self/mountinfo --\n" + rootMounts +
			"44 27 0:41 / /mnt/huge rw - hugetlbfs none rw,pagesize=2M\n45 44 0:42 / /mnt/huge rw - tmpfs none rw\n46 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n",
			guest: takes(1), verdict: Ready, fixable: true, want: `
mount warning : a tmpfs is mounted over the hugetlbfs on /mnt/huge`},

		{name: "session", guest: guest(func(g *Guest) { g.Session, g.UID, g.Conf = true, 1000, "/home/alice/.config/libvirt/qemu.conf" }), verdict: NoMount, want: `
mount blocker no-mount: the user's qemu.conf names no hugetlbfs_mount of this size that the user can write`},
		{name: "session with memfd", guest: guest(func(g *Guest) { memfd(g); g.Session, g.UID = true, 1000 }), verdict: Ready, fixable: true},
		{name: "session with a folder of its own", edit: "-- modes --\ndev/hugepages/alice/ 0700 1000:1000\n-- home/alice/.config/libvirt/qemu.conf --\nhugetlbfs_mount = \"/dev/hugepages/alice\"\n",
			guest: guest(func(g *Guest) { g.Session, g.UID, g.Conf = true, 1000, "/home/alice/.config/libvirt/qemu.conf" }), verdict: Ready, fixable: true},
		{name: "session with a folder of root's", edit: "-- home/alice/.config/libvirt/qemu.conf --\nhugetlbfs_mount = \"/dev/hugepages\"\n",
			guest: guest(func(g *Guest) { g.Session, g.UID, g.Conf = true, 1000, "/home/alice/.config/libvirt/qemu.conf" }), verdict: NoMount, want: `
mount blocker no-mount: the user's qemu.conf names no hugetlbfs_mount of this size that the user can write`},

		{name: "the mount's root is libvirt's to open", edit: "-- modes --\ndev/hugepages 1770 0:0\n", guest: takes(1), verdict: Ready, fixable: true},
		{name: "folders that nobody may search", edit: "-- modes --\ndev/hugepages/libvirt 0700 0:0\ndev/hugepages/libvirt/qemu 0740 0:107\n", guest: takes(1), verdict: NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt is 0700 0:0 [chmod 0701 /dev/hugepages/libvirt (was 0700)]
path blocker no-access fixable: /dev/hugepages/libvirt/qemu is 0740 0:107 [chmod 0750 /dev/hugepages/libvirt/qemu (was 0740)]`},
		{name: "0750 root:kvm is enough", edit: "-- modes --\ndev/hugepages/libvirt/qemu 0750 0:107\n", guest: takes(1), verdict: Ready, fixable: true},
		{name: "of the QEMU user, who may not", edit: "-- modes --\ndev/hugepages/libvirt/qemu 0611 64055:0\n", guest: takes(1), verdict: NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt/qemu is 0611 64055:0 [chmod 0711 /dev/hugepages/libvirt/qemu (was 0611)]`},
		{name: "root passes", edit: "-- etc/libvirt/qemu.conf --\nuser = \"root\"\n-- modes --\ndev/hugepages/libvirt 0700 1000:0\n", guest: takes(1), verdict: Ready, fixable: true},
		{name: "folders do not matter to memfd", edit: "-- modes --\ndev/hugepages/libvirt 0700 0:0\n", guest: guest(memfd), verdict: Ready, fixable: true},
		{name: "libvirt is no folder", edit: newMount + "-- run/libvirt/qemu/driver.pid --\n", prepare: func(root string) error {
			return errors.Join(noBase(root), os.Symlink("/tmp", root+"/dev/hugepages/libvirt"))
		}, guest: takes(1), verdict: NoAccess, want: `
path blocker no-access: /dev/hugepages/libvirt is no folder`},
		{name: "left by a crash", edit: "-- modes --\ndev/hugepages/libvirt/qemu/4-web1/ 0700 0:0\n", guest: takes(1), verdict: NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt/qemu/4-web1 is left from an earlier start and is 0700 0:0 [rmdir /dev/hugepages/libvirt/qemu/4-web1 (was 0700 0:0)]`},
		{name: "left by a crash, long name", edit: "-- modes --\ndev/hugepages/libvirt/qemu/4-äbcdefghijklmnopqrst/ 0700 0:0\n",
			guest: guest(func(g *Guest) { g.Demand.Domain = "äbcdefghijklmnopqrstuvw" }), verdict: NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt/qemu/4-äbcdefghijklmnopqrst is left from an earlier start and is 0700 0:0 [rmdir /dev/hugepages/libvirt/qemu/4-äbcdefghijklmnopqrst (was 0700 0:0)]`},
		{name: "left by a crash, for a later start", edit: "-- modes --\ndev/hugepages/libvirt/qemu/7-web1/ 0700 0:0\n", guest: takes(1), verdict: Ready, fixable: true, want: `
path warning  fixable: /dev/hugepages/libvirt/qemu/7-web1 is left from an earlier start and is 0700 0:0; it is in the way of start 7 since libvirtd started [rmdir /dev/hugepages/libvirt/qemu/7-web1 (was 0700 0:0)]`},
		{name: "folders that harm nobody", edit: `-- modes --
dev/hugepages/libvirt/qemu/3-web1/ 0700 1000:1000
dev/hugepages/libvirt/qemu/2-web1/ 0700 1000:1000
dev/hugepages/libvirt/qemu/7-web1/ 0700 64055:64055
dev/hugepages/libvirt/qemu/8-web11/ 0700 0:0
dev/hugepages/libvirt/qemu/x-web1/ 0700 0:0
`, guest: takes(1), verdict: Ready, fixable: true},
		{name: "in the hook only the start's own id counts", edit: "-- modes --\ndev/hugepages/libvirt/qemu/7-web1/ 0700 0:0\ndev/hugepages/libvirt/qemu/8-web1/ 0700 0:0\n",
			guest: guest(func(g *Guest) { g.ID, g.RunningIDs = 8, nil }), verdict: NoAccess, fixable: true, want: `
path blocker no-access fixable: /dev/hugepages/libvirt/qemu/8-web1 is left from an earlier start and is 0700 0:0 [rmdir /dev/hugepages/libvirt/qemu/8-web1 (was 0700 0:0)]`},

		{name: "a hook of somebody else", edit: "-- etc/libvirt/hooks/qemu.d/10-mine --\n#!/bin/sh\n-- modes --\netc/libvirt/hooks/qemu.d/10-mine 0755 0:0\n", guest: takes(1), verdict: Ready, fixable: true, want: `
hook note : libvirt runs /etc/libvirt/hooks/qemu.d/10-mine before the start`},
		{name: "a file that is no hook", edit: "-- etc/libvirt/hooks/qemu.d/10-mine --\n#!/bin/sh\n-- modes --\netc/libvirt/hooks/qemu.d/10-mine 0644 0:0\n", guest: takes(1), verdict: Ready, fixable: true},

		{name: "short", guest: takes(1201), verdict: NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free`},
		{name: "short, and the host has no more", guest: guest(func(g *Guest) { g.Demand.Items[0].Pages, g.HeadroomKiB = 1201, 2047 }), verdict: NoMemory, want: `
pool blocker no-memory: 1200 of 2048 pages of 2 MiB are free; 1 more page of 2 MiB is needed: 1 is missing, as the kernel can make 0`},
		{name: "promised to others", guest: guest(func(g *Guest) { g.Pending = pending(300) }), verdict: NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free, 300 of them promised to guests that are starting`},
		{name: "reserved", edit: "-- pools --\nall 2048 2048 1200 1199 0 0\n0 2048 2048 1200 0\n", guest: takes(2), verdict: NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free, 1199 of them reserved by programs that run`},
		{name: "reserved by min_size= of another mount", edit: "-- proc/self/mountinfo --\n" + rootMounts + "44 24 0:41 / /dev/hugepages rw - hugetlbfs hugetlbfs rw,pagesize=2M\n45 24 0:42 / /dev/other rw - hugetlbfs hugetlbfs rw,pagesize=2M,min_size=2097152000\n-- pools --\nall 2048 2048 1200 1000 0 0\n0 2048 2048 1200 0\n",
			guest: takes(1100), verdict: NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free, 1000 of them reserved by programs that run, some perhaps for guests on /dev/other (min_size=2097152000)`},
		{name: "kept by min_size= of its own mount", edit: mountedWith("pagesize=2M,min_size=2097152000") + "-- pools --\nall 2048 2048 1200 1000 0 0\n0 2048 2048 1200 0\n", guest: takes(1100), verdict: Ready, fixable: true},
		{name: "kept by min_size= of its own mount, and short", edit: mountedWith("pagesize=2M,min_size=2097152000") + "-- pools --\nall 2048 2048 1200 1000 0 0\n0 2048 2048 1200 0\n", guest: takes(1201), verdict: NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free, 1000 of them reserved by programs that run`},
		{name: "overcommit makes the rest", edit: "-- pools --\nall 2048 40 20 0 5 17\n0 2048 40 20 5\n", guest: takes(32), verdict: Ready, fixable: true, want: `
pool note : 20 of 40 pages of 2 MiB are free`},
		{name: "overcommit is not enough", edit: "-- pools --\nall 2048 40 20 0 5 16\n0 2048 40 20 5\n", guest: takes(32), verdict: NoMemory, fixable: true, want: `
pool blocker no-memory fixable: 20 of 40 pages of 2 MiB are free`},
		{name: "a node that is not there", guest: guest(func(g *Guest) { g.Demand.CPUSetNodes = "0-1" }), verdict: BadDomain, want: `
pool blocker bad-domain: the host has node 0`},
		{name: "numad, one node", edit: "-- usr/bin/numad --\nELF\n", guest: guest(func(g *Guest) { g.Demand.Auto = true }), verdict: Ready, fixable: true},
		{name: "numad, two nodes", host: "two-nodes", edit: "-- usr/bin/numad --\nELF\n", guest: guest(func(g *Guest) { g.Demand.Auto = true }), verdict: Unknown, fixable: true, want: `
pool warning unknown: numad chooses the guest's nodes when it starts, so that nobody can tell if they have the pages`},
		{name: "node 0 has no memory to make pages of", host: "node0-full", guest: guest(func(g *Guest) { g.Demand.CPUSetNodes = "0" }), verdict: NoMemory, want: `
pool blocker no-memory: 0 of 3000 pages of 2 MiB are free on node 0`},
		{name: "node 1 has", host: "node0-full", guest: guest(func(g *Guest) { g.Demand.CPUSetNodes = "1" }), verdict: Ready, fixable: true},

		{name: "the heaviest comes first", edit: "-- dev/kvm --\n", guest: takes(1201), verdict: BadHost, want: `
kvm blocker bad-host: there is no /dev/kvm
pool blocker no-memory fixable: 1200 of 2048 pages of 2 MiB are free`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.host == "" {
				test.host = "one-node"
			}
			h := Host{Root: fixture(t, test.host, test.edit)}
			if test.prepare != nil {
				must(t, test.prepare(h.Root.Path()))
			}
			findings := Run(h, test.guest)
			if diff := cmp.Diff(strings.TrimSpace(test.want), show(findings)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			verdict, ready, fixable := Conclude(findings)
			if verdict != test.verdict || ready != (verdict == Ready) || fixable != test.fixable {
				t.Errorf("verdict %s, ready %t, fixable %t; want %s, fixable %t", verdict, ready, fixable, test.verdict, test.fixable)
			}
			for _, f := range findings {
				if f.Need == "" || f.Do == "" && f.Verdict != Unknown {
					t.Errorf("%+v does not say what to do", f)
				}
			}
			if text, err := json.Marshal(findings); err != nil || strings.Contains(string(text), "null") {
				t.Errorf("JSON is %s, %v", text, err)
			}
		})
	}
}

// show writes findings one a line.
func show(findings []Finding) string {
	var lines []string
	for _, f := range findings {
		line := fmt.Sprintf("%s %s %s", f.Check, f.Severity, f.Verdict)
		if f.Fixable {
			line += " fixable"
		}
		if f.Restart {
			line += " restart"
		}
		line += ": " + f.Have
		if len(f.Changes) > 0 && f.Changes[0].Kind != KindPool { // those: TestPoolChanges
			line += " [" + strings.ReplaceAll(JoinChanges(f.Changes), " && ", "; ") + "]"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// The pools that grow are shown on the nodes where the guest needs the pages,
// or on the one that has the most memory to make them of.
func TestPoolChanges(t *testing.T) {
	const file = "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages"
	for name, test := range map[string]struct {
		guest Guest
		want  []Change
	}{
		"any node": {takes(1300), []Change{{Kind: KindPool, Path: fmt.Sprintf(file, 0), From: "1024", To: "1124"}}},
		"node 0":   {guest(func(g *Guest) { g.Demand.CPUSetNodes = "0" }), []Change{{Kind: KindPool, Path: fmt.Sprintf(file, 0), From: "1024", To: "1724"}}},
	} {
		var got []Change
		for _, f := range Run(Host{Root: fixture(t, "two-nodes", "")}, test.guest) {
			got = append(got, f.Changes...)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// noBase removes the folders that libvirt makes on a mount.
func noBase(root string) error { return os.RemoveAll(root + "/dev/hugepages/libvirt") }

// mountedWith is a host whose /dev/hugepages has these options.
func mountedWith(options string) string {
	return "-- proc/self/mountinfo --\n" + rootMounts + "44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw," + options + "\n"
}

// What a check could not read is a finding, whoever runs it.
func TestRunSaysWhatItCouldNotTell(t *testing.T) {
	verdict, ready, _ := Conclude(Run(Host{Root: "/nowhere"}, takes(1)))
	if verdict == Ready || ready {
		t.Errorf("a host without files is %s, %t", verdict, ready)
	}
}

// pending is pages that somebody else will yet take, on any node or on these.
func pending(n int64, nodes ...int) []pool.Pending {
	return []pool.Pending{{Take: pool.Take{Nodes: nodes, Size: pages.Size2MiB, Pages: n}, Unmapped: n, Unfaulted: n}}
}

// Two nodes, and what libvirt 9.0 and QEMU 7.2 need of them.
func TestLimits(t *testing.T) {
	bound := func(nodes string, n int64) pages.Item {
		return pages.Item{PageSize: pages.Size2MiB, Pages: n, HostNodes: nodes, Mode: pages.Strict}
	}
	free := func(n int64) pages.Item { return pages.Item{PageSize: pages.Size2MiB, Pages: n} }
	pools := func(free0, free1, reserved, overcommit int64) pool.State {
		return pool.State{
			Globals: []pool.Global{{Size: pages.Size2MiB, Total: free0 + free1, Free: free0 + free1, Reserved: reserved, Overcommit: overcommit}},
			Pools: []pool.Pool{
				{Node: 0, Size: pages.Size2MiB, Total: free0, Free: free0},
				{Node: 1, Size: pages.Size2MiB, Total: free1, Free: free1}},
		}
	}
	for _, test := range []struct {
		name   string
		state  pool.State
		cpuset string
		items  []pages.Item
		// What others will yet take, and on which nodes.
		pending int64
		on      []int
		want    string // the severities
		needs   string
	}{
		{name: "enough", state: pools(20, 64, 0, 0), items: []pages.Item{free(84)}},
		{name: "one too many", state: pools(20, 64, 0, 0), items: []pages.Item{free(85)}, want: "blocker", needs: "1 on any"},
		{name: "backends add up", state: pools(20, 64, 0, 0), items: []pages.Item{free(42), free(43)}, want: "blocker", needs: "1 on any"},
		{name: "cpuset: the node is short", state: pools(20, 64, 0, 0), cpuset: "0", items: []pages.Item{free(32)}, want: "blocker", needs: "12 on 0"},
		{name: "cpuset: overcommit does not help", state: pools(20, 64, 0, 40), cpuset: "0", items: []pages.Item{free(32)}, want: "blocker", needs: "12 on 0"},
		{name: "cpuset: unless the pools are short too", state: pools(20, 4, 0, 40), cpuset: "0", items: []pages.Item{free(32)}, want: "note note", needs: "12 on 0"},
		{name: "cpuset: others' reservations are not counted", state: pools(32, 64, 64, 0), cpuset: "0", items: []pages.Item{free(32)}},
		{name: "cpuset of both nodes", state: pools(20, 64, 0, 0), cpuset: "0-1", items: []pages.Item{free(84)}},
		{name: "strict for all: bound and in the cpuset", state: pools(20, 64, 0, 40), cpuset: "0", items: []pages.Item{bound("0", 32)}, want: "blocker", needs: "12 on 0"},
		{name: "bound: the node is short", state: pools(20, 64, 0, 0), items: []pages.Item{bound("0", 32)}, want: "blocker", needs: "12 on 0"},
		{name: "bound: overcommit helps", state: pools(20, 64, 0, 40), items: []pages.Item{bound("0", 32)}, want: "note", needs: "12 on 0"},
		{name: "bound, one on each node", state: pools(20, 64, 0, 0), items: []pages.Item{bound("0", 20), bound("1", 64)}},
		{name: "bound, both short", state: pools(20, 64, 0, 0), items: []pages.Item{bound("0", 21), bound("1", 66)}, want: "blocker blocker blocker", needs: "1 on 0, 2 on 1"},
		{name: "bound to either node", state: pools(20, 64, 0, 0), items: []pages.Item{bound("0-1", 84)}},
		{name: "preferred falls back", state: pools(20, 64, 0, 0), items: []pages.Item{{PageSize: pages.Size2MiB, Pages: 32, HostNodes: "0", Mode: pages.Preferred}}},
		{name: "unbound, then bound: a coin toss", state: pools(32, 32, 0, 0), items: []pages.Item{free(32), bound("1", 32)}, want: "warning", needs: "32 on 1"},
		{name: "bound, then unbound: sure", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32), free(32)}},
		{name: "unbound, then bound: sure", state: pools(32, 64, 0, 0), items: []pages.Item{free(32), bound("1", 32)}},
		{name: "unbound does not fit elsewhere, then bound", state: pools(32, 32, 0, 0), items: []pages.Item{free(40), bound("1", 24)}, want: "warning", needs: "32 on 1"},
		{name: "unbound leaves too little for bound", state: pools(32, 32, 0, 10), items: []pages.Item{free(40), bound("1", 35)}, want: "blocker blocker", needs: "43 on 1"},
		{name: "promised to others, who may lie elsewhere", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 32, want: "warning", needs: "32 on 1"},
		{name: "promised to others, who may not", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 33, want: "blocker blocker", needs: "33 on 1"},
		{name: "promised to others on another node", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 32, on: []int{0}},
		{name: "promised to others on this node", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 32)}, pending: 1, on: []int{1}, want: "blocker", needs: "1 on 1"},
		{name: "promised to others on either", state: pools(32, 32, 0, 0), items: []pages.Item{bound("1", 31)}, pending: 2, on: []int{0, 1}, want: "warning", needs: "1 on 1"},
		{name: "promised to others, and no node matters", state: pools(32, 32, 0, 0), items: []pages.Item{free(33)}, pending: 32, on: []int{1}, want: "blocker", needs: "1 on any"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := Guest{Demand: pages.Demand{Items: test.items, CPUSetNodes: test.cpuset}, Allowance: Allowance{Pending: pending(test.pending, test.on...)}}
			var got []string
			for _, l := range limits(test.state, g) {
				if f := l.judge(); f.Severity != "" {
					got = append(got, string(f.Severity))
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("findings are %v, want %s", got, test.want)
			}
			var needs []string
			state := test.state
			for _, n := range Shortfall(state, g) {
				where := "any"
				if n.Nodes != nil {
					where = pages.FormatNodes(n.Nodes)
				}
				needs = append(needs, fmt.Sprintf("%d on %s", n.Pages, where))
				// On the first node that will do.
				i := 0
				if len(n.Nodes) > 0 {
					i = n.Nodes[0]
				}
				state.Globals[0].Free += n.Pages
				state.Pools[i].Free += n.Pages
			}
			if strings.Join(needs, ", ") != test.needs {
				t.Errorf("shortfall is %v, want %s", needs, test.needs)
			}
			if again := Shortfall(state, g); again != nil {
				t.Errorf("with these pages it still lacks %v", again)
			}
			for _, l := range limits(state, g) {
				if f := l.judge(); f.Severity != "" {
					t.Errorf("with these pages: %+v", f)
				}
			}
		})
	}
}

func TestBindingsThatContradict(t *testing.T) {
	const blocker = "pool blocker bad-domain: <numatune><memory> allows node 0 alone"
	for mode, want := range map[pages.Mode]string{
		pages.Strict: blocker, pages.Preferred: blocker, pages.Interleave: blocker, pages.Restrictive: "",
	} {
		g := takes(1)
		g.Demand.CPUSetNodes = "0"
		g.Demand.Items[0].HostNodes, g.Demand.Items[0].Mode = "1", mode
		if got := show(Run(Host{Root: fixture(t, "two-nodes", "")}, g)); got != want {
			t.Errorf("%s: got %s, want %s", mode, got, want)
		}
	}
}
