package prepare

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// systemdHost is what a fixture of a host with systemd has besides.
const systemdHost = `
-- modes --
run/systemd/system/ 0755 0:0
etc/systemd/system/ 0755 0:0
etc/sysctl.d/ 0755 0:0
-- usr/lib/systemd/system/dev-hugepages.mount --
[Mount]
Where=/dev/hugepages
Options=nosuid,nodev
-- proc/buddyinfo --
Node 0, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
Node 1, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
`

// nextDefault makes 1 GiB the default size at the next boot.
const nextDefault = `-- usr/sbin/grub-mkconfig --
. ${sysconfdir}/default/grub
-- etc/default/grub --
GRUB_CMDLINE_LINUX="default_hugepagesz=1G"
`

// noSystemd is what one without has.
const noSystemd = `
-- etc/fstab --
/dev/vda / ext4 defaults 0 1
-- proc/buddyinfo --
Node 0, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
`

// web1 asks for 16 pages of 2 MiB anywhere, db1 for 2 of 1 GiB on node 1.
var (
	web1 = hostprep.Guest{Demand: pages.Demand{Domain: "web1", UUID: "6695eb01-f6a4-8304-79aa-97f2502e193f", Backing: pages.Hugetlb,
		Items: []pages.Item{{PageSize: pages.Size2MiB, Pages: 16, GuestNode: -1}}}}
	db1 = hostprep.Guest{Demand: pages.Demand{Domain: "db1", UUID: "d1d1d1d1-f6a4-8304-79aa-97f2502e193f", Backing: pages.Hugetlb,
		Items: []pages.Item{{PageSize: pages.Size1GiB, Pages: 2, GuestNode: -1, HostNodes: "1", Mode: "strict"}}}}
)

// thp1 wants transparent huge pages, which are off in thpOff.
var thp1 = hostprep.Guest{Demand: pages.Demand{Domain: "thp1", UUID: "7a7a7a7a-f6a4-8304-79aa-97f2502e193f", Backing: pages.THP}}

const thpOff = `-- sys/kernel/mm/transparent_hugepage/enabled --
always madvise [never]
-- sys/kernel/mm/transparent_hugepage/defrag --
always defer defer+madvise [madvise] never
-- sys/kernel/mm/transparent_hugepage/shmem_enabled --
always within_size advise [never] deny force
-- sys/kernel/mm/transparent_hugepage/hpage_pmd_size --
2097152
-- sys/kernel/mm/transparent_hugepage/khugepaged/defrag --
1
-- sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan --
4096
-- sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs --
10000
`

// planned is what a preparation would change, a line each.
func planned(h host.Host, p Options) string {
	var lines []string
	findings, _ := Plan(h, p)
	for _, f := range findings {
		for _, c := range f.Changes {
			lines = append(lines, c.String())
		}
		if !f.Fixable {
			lines = append(lines, "left: "+f.Have+"; "+f.Need+"; "+f.Do)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestPrepare(t *testing.T) {
	for name, test := range map[string]struct {
		host, edits string
		p           Options
		want        string
	}{
		"nothing asked": {host: "two-nodes", edits: systemdHost, want: "\n"},
		"a mount that is not there": {host: "no-libvirt", p: Options{Guests: []hostprep.Guest{web1}}, want: `
mkdir -m 0755 /dev/hugepages
mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages
`},
		"a mount that is not there, without systemd": {host: "no-libvirt", edits: noSystemd, p: Options{Guests: []hostprep.Guest{web1}, Persist: true}, want: `
mkdir -m 0755 /var/lib/hugepages2M
mount -t hugetlbfs -o pagesize=2M hugetlbfs /var/lib/hugepages2M
edit /etc/fstab: +'hugetlbfs /var/lib/hugepages2M hugetlbfs nosuid,nodev,pagesize=2M 0 0'
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f",\n   "name": "web1",\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
mkdir -m 0755 /etc/sysctl.d
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 16\n' > /etc/sysctl.d/99-vmhuge.conf
`},
		"a mount by hand below /dev, without systemd": {host: "two-nodes", edits: noSystemd, p: Options{Guests: []hostprep.Guest{web1}, Persist: true}, want: `
mkdir -m 0755 /var/lib/hugepages2M
mount -t hugetlbfs -o pagesize=2M hugetlbfs /var/lib/hugepages2M
edit /etc/fstab: +'hugetlbfs /var/lib/hugepages2M hugetlbfs nosuid,nodev,pagesize=2M 0 0'
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f",\n   "name": "web1",\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
mkdir -m 0755 /etc/sysctl.d
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 16\n' > /etc/sysctl.d/99-vmhuge.conf
`},
		"a mount by hand that is enough until a reboot": {host: "two-nodes", edits: noSystemd, p: Options{MountGroup: "kvm"}, want: `
chown 0:107 /dev/hugepages (was 0:0)
chmod 1770 /dev/hugepages (was 0755)
`},
		"a mount by hand below /dev that fstab has, without systemd": {host: "two-nodes", edits: noSystemd + "-- etc/fstab --\nnone /dev/hugepages hugetlbfs X-mount.mkdir 0 0\n", p: Options{Guests: []hostprep.Guest{web1}, Persist: true}, want: `
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f",\n   "name": "web1",\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
mkdir -m 0755 /etc/sysctl.d
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 16\n' > /etc/sysctl.d/99-vmhuge.conf
`},
		"a user's folder on a mount by hand, without systemd": {host: "two-nodes", edits: noSystemd, p: Options{User: "alice", Persist: true}, want: `
mkdir -m 0755 /var/lib/hugepages2M
mount -t hugetlbfs -o pagesize=2M hugetlbfs /var/lib/hugepages2M
edit /etc/fstab: +'hugetlbfs /var/lib/hugepages2M hugetlbfs nosuid,nodev,pagesize=2M 0 0'
mkdir -m 0700 /var/lib/hugepages2M/alice && chown 1000:1000 /var/lib/hugepages2M/alice
left: the home of alice, /home/alice, is not a folder that they own; a folder of every size there, for qemu:///session; create it, and run vmhuge prepare again
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [],\n "folders": [\n  {\n   "path": "/var/lib/hugepages2M/alice",\n   "state": "0700 1000:1000"\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
`},
		"pages anywhere": {host: "two-nodes", edits: systemdHost, p: Options{Guests: []hostprep.Guest{web1}, Persist: true}, want: `
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f",\n   "name": "web1",\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 16\n' > /etc/sysctl.d/99-vmhuge.conf
printf '` + strings.ReplaceAll(boot.ServiceText("/usr/bin/vmhuge"), "\n", `\n`) + `' > /etc/systemd/system/vmhuge.service
mkdir -m 0755 /etc/systemd/system/multi-user.target.wants
ln -s ../vmhuge.service /etc/systemd/system/multi-user.target.wants/vmhuge.service
`},
		"the group of the mount": {host: "two-nodes", edits: systemdHost, p: Options{MountGroup: "kvm", Persist: true}, want: `
chown 0:107 /dev/hugepages (was 0:0)
chmod 1770 /dev/hugepages (was 0755)
mkdir -m 0755 /etc/systemd/system/dev-hugepages.mount.d
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\n[Mount]\nOptions=nosuid,nodev,mode=01770,gid=kvm\n' > /etc/systemd/system/dev-hugepages.mount.d/vmhuge.conf
`},
		"pages on demand": {host: "two-nodes", edits: systemdHost + "-- pools --\nall 2048 40 6 2 4 5\n0 2048 40 6 4\n1 2048 0 0 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n1 1048576 0 0 0\n", p: Options{Guests: []hostprep.Guest{web1, db1}, Overcommit: true}, want: `
mkdir -m 0755 /dev/hugepages1G
mount -t hugetlbfs -o pagesize=1024M hugetlbfs /dev/hugepages1G
echo 16 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages (was 5)
echo 2 > /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_overcommit_hugepages (was 0)
`},
		"enough on demand":                {host: "two-nodes", edits: systemdHost + "-- pools --\nall 2048 40 6 2 4 16\n0 2048 40 6 4\n1 2048 0 0 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n1 1048576 0 0 0\n", p: Options{Guests: []hostprep.Guest{web1}, Overcommit: true}, want: "\n"},
		"a mount whose size would change": {host: "two-nodes", edits: systemdHost + nextDefault, p: Options{Guests: []hostprep.Guest{web1}}, want: "\n"},
		"a mount whose size would change, kept for each boot": {host: "two-nodes", edits: systemdHost + nextDefault + "-- etc/systemd/system/vmhuge.service --\n" + boot.ServiceText("/usr/bin/vmhuge"), p: Options{Persist: true, User: "alice"}, want: `
mkdir -m 0755 /etc/systemd/system/dev-hugepages.mount.d
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\n[Mount]\nOptions=nosuid,nodev,pagesize=2M\n' > /etc/systemd/system/dev-hugepages.mount.d/vmhuge.conf
mkdir -m 0700 /dev/hugepages/alice && chown 1000:1000 /dev/hugepages/alice
left: the home of alice, /home/alice, is not a folder that they own; a folder of every size there, for qemu:///session; create it, and run vmhuge prepare again
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [],\n "folders": [\n  {\n   "path": "/dev/hugepages/alice",\n   "state": "0700 1000:1000"\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
mkdir -m 0755 /etc/systemd/system/multi-user.target.wants
ln -s ../vmhuge.service /etc/systemd/system/multi-user.target.wants/vmhuge.service
`},
		"a mount whose size would change, and its group": {host: "two-nodes", edits: systemdHost + nextDefault, p: Options{MountGroup: "kvm", Persist: true}, want: `
chown 0:107 /dev/hugepages (was 0:0)
chmod 1770 /dev/hugepages (was 0755)
mkdir -m 0755 /etc/systemd/system/dev-hugepages.mount.d
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\n[Mount]\nOptions=nosuid,nodev,mode=01770,gid=kvm,pagesize=2M\n' > /etc/systemd/system/dev-hugepages.mount.d/vmhuge.conf
`},
		"a mount whose size would change, without systemd": {host: "two-nodes", edits: noSystemd + nextDefault + "-- etc/fstab --\nnone /mnt/huge hugetlbfs defaults 0 0\n-- proc/self/mountinfo --\n" + hosttest.RootMounts + "44 27 0:41 / /mnt/huge rw - hugetlbfs none rw,pagesize=2M\n-- modes --\nmnt/huge/ 1770 0:107\n", p: Options{MountGroup: "kvm", Persist: true}, want: `
edit /etc/fstab: -'none /mnt/huge hugetlbfs defaults 0 0' +'none /mnt/huge hugetlbfs mode=01770,gid=kvm,pagesize=2M 0 0'
`},
		"libvirt has opened the mount for searching": {host: "two-nodes", edits: "-- modes --\ndev/hugepages/ 1771 0:107", p: Options{MountGroup: "kvm"}, want: "\n"},
		"a mode that was taken for a decimal number": {host: "two-nodes", edits: "-- modes --\ndev/hugepages/ 1352 0:107", p: Options{MountGroup: "kvm"}, want: `
chmod 1770 /dev/hugepages (was 1352)
`},
		"a group that is not there": {host: "two-nodes", p: Options{MountGroup: "hugetlb"}, want: `
left: there is no group hugetlb; a group for --mount-group; groupadd --system hugetlb, or name another
`},
		"a user and groups that are not there": {host: "two-nodes", edits: systemdHost, p: Options{User: "bob", MountGroup: "huge", ShmGroup: "shm", Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 16}}}, want: `
left: there is no user bob; a user for --user; useradd -m bob, or name another
left: there is no group huge; a group for --mount-group; groupadd --system huge, or name another
left: there is no group shm; a group for --shm-group; groupadd --system shm, or name another
`},
		"beside what others reserve": {host: "two-nodes", edits: systemdHost + "-- etc/sysctl.d/90-hp.conf --\nvm.nr_hugepages = 1024\n-- etc/rc.local --\necho $N > /proc/sys/vm/nr_hugepages\n-- modes --\netc/rc.local 0755 0:0\n", p: Options{Guests: []hostprep.Guest{web1}, Persist: true}, want: `
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f",\n   "name": "web1",\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 1040\n' > /etc/sysctl.d/99-vmhuge.conf
printf '` + strings.ReplaceAll(boot.ServiceText("/usr/bin/vmhuge"), "\n", `\n`) + `' > /etc/systemd/system/vmhuge.service
mkdir -m 0755 /etc/systemd/system/multi-user.target.wants
ln -s ../vmhuge.service /etc/systemd/system/multi-user.target.wants/vmhuge.service
left: /etc/sysctl.d/90-hp.conf:1 reserves 1024 pages of 2 MiB at boot already, and with the 32 MiB of vmhuge prepare --persist that makes 2.0 GiB; one place that reserves them, if these are for the same guests; take that out of /etc/sysctl.d/90-hp.conf:1, then run vmhuge prepare --persist again
left: /etc/rc.local:1 sets the pool when the 32 MiB of vmhuge prepare --persist are there, and replaces them: echo $N > /proc/sys/vm/nr_hugepages; one place that sets the pool at boot; take that out of /etc/rc.local:1, then run vmhuge prepare --persist again
`},
		"beside the kernel's command line": {host: "two-nodes", edits: systemdHost + "-- proc/cmdline --\nro hugepages=1024\n-- etc/systemd/system/vmhuge.service --\n" + boot.ServiceText("/usr/bin/vmhuge"), p: Options{Guests: []hostprep.Guest{web1}, Persist: true}, want: `
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f",\n   "name": "web1",\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 1040\n' > /etc/sysctl.d/99-vmhuge.conf
mkdir -m 0755 /etc/systemd/system/multi-user.target.wants
ln -s ../vmhuge.service /etc/systemd/system/multi-user.target.wants/vmhuge.service
left: the kernel's command line reserves 1024 pages of 2 MiB at boot already, and with the 32 MiB of vmhuge prepare --persist that makes 2.0 GiB; one place that reserves them, if these are for the same guests; take that out of the kernel's command line, then run vmhuge prepare --persist again
`},
		"a file that is read later, without systemd": {host: "two-nodes", edits: noSystemd + "-- etc/fstab --\nnone /dev/hugepages hugetlbfs defaults 0 0\n-- modes --\netc/sysctl.d/ 0755 0:0\netc/vmhuge/ 0755 0:0\n-- etc/sysctl.d/99-zz.conf --\nvm.nr_hugepages = 100\n", p: Options{Guests: []hostprep.Guest{web1}, Persist: true}, want: `
printf '{\n "version": 1,\n "pages": [\n  {\n   "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f",\n   "name": "web1",\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 116\n' > /etc/sysctl.d/99-vmhuge.conf
left: /etc/sysctl.d/99-zz.conf:1 sets the pool when the 32 MiB of vmhuge prepare --persist are there, and replaces them: 100 pages of 2 MiB; one place that sets the pool at boot; take that out of /etc/sysctl.d/99-zz.conf:1, then run vmhuge prepare --persist again
`},
		"a file that is read later and wants none, without systemd": {host: "two-nodes", edits: noSystemd + "-- etc/fstab --\nnone /dev/hugepages hugetlbfs defaults 0 0\n-- modes --\netc/sysctl.d/ 0755 0:0\netc/vmhuge/ 0755 0:0\n-- etc/sysctl.d/99-zz.conf --\nvm.nr_hugepages = 0\n", p: Options{Guests: []hostprep.Guest{web1}, Persist: true}, want: `
printf '{\n "version": 1,\n "pages": [\n  {\n   "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f",\n   "name": "web1",\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 16\n' > /etc/sysctl.d/99-vmhuge.conf
left: /etc/sysctl.d/99-zz.conf:1 sets the pool when the 32 MiB of vmhuge prepare --persist are there, and replaces them: 0 pages of 2 MiB; one place that sets the pool at boot; take that out of /etc/sysctl.d/99-zz.conf:1, then run vmhuge prepare --persist again
`},
		"pages that others reserve": {host: "two-nodes", edits: systemdHost + "-- etc/sysctl.d/90-hp.conf --\nvm.nr_hugepages = 2048\n-- etc/systemd/system/vmhuge.service --\n" + boot.ServiceText("/usr/bin/vmhuge"), p: Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 2048}}}, want: `
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "page_size_kib": 2048,\n   "pages": 2048\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
mkdir -m 0755 /etc/systemd/system/multi-user.target.wants
ln -s ../vmhuge.service /etc/systemd/system/multi-user.target.wants/vmhuge.service
left: /etc/sysctl.d/90-hp.conf:1 reserves 2048 pages of 2 MiB at boot already, which count towards the 2048 of the pool: vmhuge prepare --persist adds none; ; 
left: the pool has 2048 pages of 2 MiB, and 1200 of them are free and promised to nobody: --pages counts the whole pool, so that a program which starts then finds 1200; 2048 free ones, if they are for a program or guest that is yet to start; vmhuge prepare --pages 2896 --size 2M, which leaves 2048 free; or add --for PROGRAM, which keeps 2048 for that program beside those of guests
`},
		"some of the pages": {host: "two-nodes", edits: systemdHost + "-- etc/sysctl.d/90-hp.conf --\nvm.nr_hugepages = 2048\n-- etc/systemd/system/vmhuge.service --\n" + boot.ServiceText("/usr/bin/vmhuge"), p: Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 2148}}}, want: `
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "page_size_kib": 2048,\n   "pages": 2148\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 2148\n' > /etc/sysctl.d/99-vmhuge.conf
mkdir -m 0755 /etc/systemd/system/multi-user.target.wants
ln -s ../vmhuge.service /etc/systemd/system/multi-user.target.wants/vmhuge.service
left: /etc/sysctl.d/90-hp.conf:1 reserves 2048 pages of 2 MiB at boot already, which count towards the 2148 of the pool: vmhuge prepare --persist adds 200 MiB; ; 
left: the pool has 2048 pages of 2 MiB, and 1200 of them are free and promised to nobody: --pages counts the whole pool, so that a program which starts then finds 1300; 2148 free ones, if they are for a program or guest that is yet to start; vmhuge prepare --pages 2996 --size 2M, which leaves 2148 free; or add --for PROGRAM, which keeps 2148 for that program beside those of guests
`},
		"too much beside what others reserve": {host: "two-nodes", edits: systemdHost + "-- etc/sysctl.d/90-hp.conf --\nvm.nr_hugepages = 4096\n", p: Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 4096}}, For: "ovs"}, want: `
left: 16000 MiB of RAM, of which the host keeps 2 GiB; 16 GiB for pages, with the 8 GiB that /etc/sysctl.d/90-hp.conf:1 reserves at boot; take that out of /etc/sysctl.d/90-hp.conf:1, or lower it there, then run this again; or ask for fewer pages, or let the host keep less (--host-reserve)
`},
		"transparent huge pages": {host: "two-nodes", edits: systemdHost + thpOff, p: Options{Persist: true, Guests: []hostprep.Guest{thp1}}, want: `
echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (was never)
mkdir -m 0755 /etc/tmpfiles.d
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nw! /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise\n' > /etc/tmpfiles.d/vmhuge.conf
`},
		"folders and a group at boot": {host: "two-nodes", edits: systemdHost + "-- proc/sys/vm/hugetlb_shm_group --\n107\n-- etc/systemd/system/vmhuge.service --\n" + boot.ServiceText("/usr/bin/vmhuge"),
			p: Options{Persist: true, User: "alice", ShmGroup: "kvm"}, want: `
mkdir -m 0700 /dev/hugepages/alice && chown 1000:1000 /dev/hugepages/alice
left: the home of alice, /home/alice, is not a folder that they own; a folder of every size there, for qemu:///session; create it, and run vmhuge prepare again
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [],\n "folders": [\n  {\n   "path": "/dev/hugepages/alice",\n   "state": "0700 1000:1000"\n  }\n ],\n "hugetlb_shm_group": 107\n}\n' > /etc/vmhuge/boot.json
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.hugetlb_shm_group = 107\n' > /etc/sysctl.d/99-vmhuge.conf
mkdir -m 0755 /etc/systemd/system/multi-user.target.wants
ln -s ../vmhuge.service /etc/systemd/system/multi-user.target.wants/vmhuge.service
`},
		"too much": {host: "two-nodes", edits: systemdHost, p: Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 7500}}}, want: `
left: 16000 MiB of RAM, of which the host keeps 2 GiB; 15000 MiB for pages; ask for fewer pages, or let the host keep less (--host-reserve)
`},
		"too much beside a pool of another size": {host: "two-nodes", edits: systemdHost + "-- pools --\nall 2048 2048 2048 0 0 0\n0 2048 1024 1024 0\n1 2048 1024 1024 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n1 1048576 0 0 0\n", p: Options{Pages: []pool.Need{{Size: pages.Size1GiB, Pages: 10}}}, want: `
left: 16000 MiB of RAM, of which the host keeps 2 GiB; 14 GiB for pages, with the 4 GiB that pools of other sizes have; ask for fewer pages, or let the host keep less (--host-reserve)
`},
		"too much on a node beside a pool of another size": {host: "two-nodes", edits: systemdHost + "-- pools --\nall 2048 2048 2048 0 0 0\n0 2048 2048 2048 0\n1 2048 0 0 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n1 1048576 0 0 0\n", p: Options{Pages: []pool.Need{{Nodes: []int{0}, Size: pages.Size1GiB, Pages: 4}}}, want: `
left: 8000 MiB on node 0, of which 256 MiB must stay ordinary memory and 4 GiB is for other pages; 4 GiB for pages there; ask for fewer pages, or let the host keep less (--host-reserve)
`},
		"on the other node": {host: "two-nodes", edits: systemdHost + "-- pools --\nall 2048 2048 2048 0 0 0\n0 2048 2048 2048 0\n1 2048 0 0 0\nall 1048576 4 4 0 0 0\n0 1048576 0 0 0\n1 1048576 4 4 0\n", p: Options{Pages: []pool.Need{{Nodes: []int{1}, Size: pages.Size1GiB, Pages: 4}}}, want: `
mkdir -m 0755 /dev/hugepages1G
mount -t hugetlbfs -o pagesize=1024M hugetlbfs /dev/hugepages1G
`},
		"too much on a node beside what the command line reserves there": {host: "two-nodes", edits: systemdHost + "-- proc/cmdline --\nhugepages=0:2048\n", p: Options{Persist: true, Pages: []pool.Need{{Nodes: []int{0}, Size: pages.Size1GiB, Pages: 4}}}, want: `
left: 8000 MiB on node 0, of which 256 MiB must stay ordinary memory and 4 GiB is for other pages; 4 GiB for pages there; lower what the kernel's command line reserves there, then run this again; or ask for fewer pages, or let the host keep less (--host-reserve)
`},
		"all of the pool is promised": {host: "one-node", edits: systemdHost + "-- pools --\nall 2048 2048 1200 1200 0 0\n0 2048 2048 1200 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n", p: Options{Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 512}}}, want: `
left: the pool has 2048 pages of 2 MiB, and 0 of them are free and promised to nobody: --pages counts the whole pool, so that a program which starts then finds 0; 512 free ones, if they are for a program or guest that is yet to start; vmhuge prepare --pages 2560 --size 2M, which leaves 512 free; or add --for PROGRAM, which keeps 512 for that program beside those of guests
`},
		"some of the pool is in use": {host: "two-nodes", edits: systemdHost + "-- pools --\nall 2048 600 100 0 0 0\n0 2048 300 100 0\n1 2048 300 0 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n1 1048576 0 0 0\n", p: Options{Pages: []pool.Need{{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 512}}}, want: `
left: the pool has 300 pages of 2 MiB, and 0 of them are free and promised to nobody: --pages counts the whole pool, so that a program which starts then finds 212; 512 free ones, if they are for a program or guest that is yet to start; vmhuge prepare --pages 812 --size 2M --node 1, which leaves 512 free; or add --for PROGRAM, which keeps 512 for that program beside those of guests
`},
		"enough of it is free": {host: "one-node", edits: systemdHost + "-- pools --\nall 2048 2048 1200 600 0 0\n0 2048 2048 1200 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n", p: Options{Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 600}}}, want: "\n"},
		"pages of others count as the program's": {host: "one-node", edits: systemdHost + booted + "-- pools --\nall 2048 2048 1200 1200 0 0\n0 2048 2048 1200 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n", p: Options{For: "ovs", Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 512}}}, want: `
left: of the 512 pages of 2 MiB for ovs, 0 will be free for it: programs other than guests use 512 already, or are promised them, and vmhuge counts these as those of ovs; a reservation for each program that takes pages; nothing, if ovs has them already; if they are another program's: vmhuge prepare --pages 512 --size 2M --for PROGRAM for that one, which adds what is missing for both
`},
		"and it is seen whose": {host: "one-node", edits: systemdHost + booted + "-- proc/77/status --\nName:\tpostgres\nHugetlbPages:\t 1638400 kB\n-- pools --\nall 2048 2048 1248 0 0 0\n0 2048 2048 1248 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n", p: Options{For: "ovs", Pages: []pool.Need{{Nodes: []int{0}, Size: pages.Size2MiB, Pages: 900}}}, want: `
left: of the 900 pages of 2 MiB for ovs, 100 will be free for it: programs other than guests use 800 already, or are promised them, and vmhuge counts these as those of ovs; in use: postgres (process 77) 1.6 GiB; a reservation for each program that takes pages; nothing, if ovs has them already; if they are another program's: vmhuge prepare --pages 800 --size 2M --node 0 --for PROGRAM for that one, which adds what is missing for both
`},
		"a reservation for a guest": {host: "one-node", edits: systemdHost + booted + "-- etc/libvirt/qemu/db1.xml --\n<domain/>\n", p: Options{For: "db1", Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 512}}}, want: `
left: db1 is a guest: no guest can take pages that --for reserves, not even that one; a program that is not a guest; vmhuge prepare db1 gets the pages that the guest lacks
`},
		"others reserve more than the host has": {host: "two-nodes", edits: systemdHost + "-- etc/sysctl.d/90-hp.conf --\nvm.nr_hugepages = 9000\n-- etc/systemd/system/vmhuge.service --\n" + boot.ServiceText("/usr/bin/vmhuge"), p: Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 16}}}, want: `
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
mkdir -m 0755 /etc/systemd/system/multi-user.target.wants
ln -s ../vmhuge.service /etc/systemd/system/multi-user.target.wants/vmhuge.service
left: /etc/sysctl.d/90-hp.conf:1 asks for 9000 pages of 2 MiB at boot, which is 17.6 GiB, and the host has 15.6 GiB; less, so that the next boot has memory for everything else; lower it in /etc/sysctl.d/90-hp.conf:1, then run this again
`},
		"pages of another size that others reserve": {host: "two-nodes", edits: systemdHost + "-- proc/cmdline --\nhugepagesz=1G hugepages=2\n-- pools --\nall 2048 0 0 0 0 0\nall 1048576 2 2 0 0 0\n0 2048 0 0 0\n0 1048576 1 1 0\n1 2048 0 0 0\n1 1048576 1 1 0\n-- etc/systemd/system/vmhuge.service --\n" + boot.ServiceText("/usr/bin/vmhuge"), p: Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 16}}}, want: `
mkdir -m 0755 /etc/vmhuge
printf '{\n "version": 1,\n "pages": [\n  {\n   "page_size_kib": 2048,\n   "pages": 16\n  }\n ]\n}\n' > /etc/vmhuge/boot.json
printf '# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\nvm.nr_hugepages = 16\n' > /etc/sysctl.d/99-vmhuge.conf
mkdir -m 0755 /etc/systemd/system/multi-user.target.wants
ln -s ../vmhuge.service /etc/systemd/system/multi-user.target.wants/vmhuge.service
`},
		"a size that the kernel was not asked for": {host: "no-1g", edits: systemdHost + "-- proc/cpuinfo --\nprocessor : 0\nflags : pse pdpe1gb\n", p: Options{Persist: true, Pages: []pool.Need{{Size: pages.Size1GiB, Pages: 1}}}, want: `
left: the kernel has no pages of 1 GiB; 1 page of 1 GiB; boot with hugepagesz=1G, as the processor supports them, and run this again; or use a size that it has: 2 MiB
`},
		"a guest of a size that the kernel lacks": {host: "no-1g", edits: systemdHost, p: Options{Guests: []hostprep.Guest{guesttest.Guest(guesttest.OneGiB)}}, want: `
left: the kernel has no pages of 1 GiB; 1 page of 1 GiB; use a size that it has: 2 MiB
`},
		"no such node": {host: "two-nodes", edits: systemdHost, p: Options{Persist: true, Pages: []pool.Need{{Nodes: []int{7}, Size: pages.Size2MiB, Pages: 1}}}, want: `
left: there is no node 7; 1 page of 2 MiB on node 7; use an existing node
`},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, test.host, test.edits)}
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), strings.TrimPrefix(planned(h, test.p), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is written is found again, and nothing is left to do; one more guest adds
// to it; and undo leaves every file as it was.
func TestPrepareTwice(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "two-nodes", systemdHost+"-- modes --\nvar/lib/ 0755 0:0\n")}
	j := journal.Journal{Host: h}
	before := hosttest.Tree(t, h.Root)
	apply := func(p Options) {
		t.Helper()
		findings, _ := Plan(h, p)
		for _, f := range findings {
			if !f.Fixable || f.Check != "boot" && f.Check != "mounts" {
				continue
			}
			hosttest.Must(t, j.Apply(f.Changes))
		}
	}
	p := Options{Persist: true, Guests: []hostprep.Guest{web1}}
	apply(p)
	if again := planned(h, p); again != "\n" {
		t.Errorf("a second time: %s", again)
	}
	twice := web1
	twice.Demand.Items = []pages.Item{{PageSize: pages.Size2MiB, Pages: 20, GuestNode: -1}}
	apply(Options{Persist: true, Guests: []hostprep.Guest{twice}, Pages: []pool.Need{{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 5}}})
	if text, err := h.Root.Read(boot.SysctlFile); err != nil || !strings.HasSuffix(text, "\nvm.nr_hugepages = 20\n") {
		t.Errorf("%v: %s", err, text)
	}
	table, err := boot.Read(h)
	hosttest.Must(t, err)
	want := []boot.Row{
		{UUID: web1.Demand.UUID, Name: "web1", Size: pages.Size2MiB, Pages: 20},
		{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 5},
	}
	if diff := cmp.Diff(want, table.Pages); diff != "" {
		t.Error(diff)
	}
	if _, left, err := j.Undo(); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if diff := cmp.Diff(before, hosttest.Tree(t, h.Root)); diff != "" {
		t.Errorf("after undo: %s", diff)
	}
}

// An interruption says so, and what was done before is known.
func TestPrepareInterrupted(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- modes --\nvar/lib/ 0755 0:0\n-- proc/sys/kernel/random/boot_id --\n4f0\n-- proc/sys/vm/hugetlb_shm_group --\n0\n")}
	for when, changes := range map[string]int{"at once": 0, "while the pool grows": 1} {
		ctx, interrupt := context.WithCancel(t.Context())
		if when == "at once" {
			interrupt()
		}
		done, err := Do(ctx, h, Options{ShmGroup: "kvm", Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 6000}}},
			pool.Effort{Progress: func(string, int64, int64) { interrupt() }})
		if err == nil || err.Error() != "preparing the host: interrupted; run it again, or revert what was done with vmhuge undo" {
			t.Errorf("%s: %v", when, err)
		}
		if len(done.Changed) != changes || changes > 0 && done.Changed[0].Kind != change.KindSysfs {
			t.Errorf("%s: done: %v, %v", when, done.Changed, done.Findings)
		}
		_, _, err = journal.Journal{Host: h}.Undo()
		hosttest.Must(t, err)
	}
}

// The kernel's default size is chosen once: after the boot that brings it, and for
// guests that come later, it stays, and no setting that goes by the default size
// speaks of pages of another.
func TestBootDefaultSize(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "two-nodes", systemdHost+"-- modes --\nvar/lib/ 0755 0:0\n")}
	apply := func(p Options) (do string) {
		t.Helper()
		findings, _ := Plan(h, p)
		for _, f := range findings {
			if f.Check != "boot" {
				continue
			}
			if !f.Fixable {
				do += f.Do
			}
			hosttest.Must(t, journal.Journal{Host: h}.Apply(f.Changes))
		}
		return do
	}
	if do := apply(Options{Persist: true, Guests: []hostprep.Guest{web1}}); do != "" {
		t.Fatal(do)
	}
	gigantic := Options{Persist: true, Pages: []pool.Need{{Size: pages.Size1GiB, Pages: 2}}, DefaultHugepagesz: true}
	const options = "default_hugepagesz=1G hugepagesz=1G hugepages=2"
	if do := apply(gigantic); !strings.Contains(do, "put "+options+" on the kernel's command line") {
		t.Errorf("to do: %s", do)
	}
	would, _ := Plan(h, gigantic)
	if i := slices.IndexFunc(would, func(f hostprep.Finding) bool { return f.Need == "/dev/hugepages with pages of 2 MiB, at each boot" }); i < 0 || !strings.Contains(change.Join(would[i].Changes), "pagesize=2M") {
		t.Errorf("/dev/hugepages gets pages of another size: %+v", would)
	}
	if text, err := h.Root.Read(boot.SysctlFile); err == nil {
		t.Errorf("of pages of 1 GiB after a reboot: %s", text)
	}
	meminfo, err := h.Root.Read("proc", "meminfo")
	hosttest.Must(t, err)
	hosttest.WriteFile(t, h.Root.Path("proc/meminfo"), strings.Replace(meminfo, "2048 kB", "1048576 kB", 1))
	hosttest.WriteFile(t, h.Root.Path("proc/cmdline"), options+"\n")
	for name, p := range map[string]Options{"again": gigantic, "for a guest": {Persist: true, Guests: []hostprep.Guest{web1}}} {
		before := hosttest.Tree(t, h.Root)
		if do := apply(p); do != "" && !strings.Contains(do, "dmesg") { // the pools of the fixture are as they were
			t.Errorf("%s: to do: %s", name, do)
		}
		if diff := cmp.Diff(before, hosttest.Tree(t, h.Root)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
