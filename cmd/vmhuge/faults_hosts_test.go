package main

// faultCase is a change of a host and the command that takes it back.
type faultCase struct {
	name, host, edits string
	forth, back       []string
}

var faultCases = []faultCase{
	{"prepare for a user", "fedora", faultsFedora, []string{"prepare", "--pages", "2", "--size", "1G", "--persist", "--user", "alice", "--shm-group", "kvm"}, []string{"undo"}},
	{"prepare for a group", "one-node", faultsDebian, []string{"prepare", "--pages", "2000", "--persist", "--mount-group=kvm"}, []string{"undo"}},
	{"hook", "one-node", faultsHook, []string{"hook", "install", "--drop-if-short", "--host-reserve", "4G"}, []string{"hook", "remove"}},
	// libvirt's test driver forgets, and is told what the domain is now.
	{"enable", "one-node", faultsDomain, []string{"enable", "web1", "-c", "test://HOST/srv/plain.xml"}, []string{"disable", "web1", "-c", "test://HOST/srv/enabled.xml"}},
}

// The hosts: systemd, and boot entries or GRUB's file.
const (
	faultsFedora = `
-- pools --
all 2048 512 512 0 0 0
all 1048576 2 2 0 0 0
0 2048 512 512 0
0 1048576 2 2 0
-- boot/loader/entries/a.conf --
title Fedora
linux /vmlinuz-1
options root=/dev/vda3 quiet
-- boot/loader/entries/b.conf --
title Fedora, the kernel before
linux /vmlinuz-0
options root=/dev/vda3 quiet
-- proc/cmdline --
root=/dev/vda3 quiet
-- proc/buddyinfo --
Node 0, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
-- etc/systemd/system/x --

-- etc/security/limits.d/x --

-- usr/lib/systemd/system/dev-hugepages.mount --
[Mount]
Where=/dev/hugepages
-- var/lib/x --

-- proc/self/mountinfo --
22 27 0:21 / /proc rw,relatime - proc proc rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=4096k
27 1 254:0 / / rw,relatime - btrfs /dev/vda3 rw
44 24 0:41 / /dev/hugepages rw,nosuid,nodev,relatime shared:9 - hugetlbfs hugetlbfs rw,pagesize=2M
45 24 0:42 / /dev/hugepages1G rw,nosuid,nodev,relatime shared:9 - hugetlbfs hugetlbfs rw,pagesize=1024M
-- modes --
dev/hugepages1G/ 0755 0:0
`
	faultsDebian = `
-- run/systemd/system/x --

-- proc/buddyinfo --
Node 0, zone   Normal   7094   4810   4500   2061    942    321    236    204     81    178    711
-- proc/cmdline --
root=/dev/vda quiet
-- etc/systemd/system/x --

-- var/lib/x --

-- usr/lib/systemd/system/dev-hugepages.mount --
[Mount]
Where=/dev/hugepages
Options=nosuid,nodev
`
	faultsHook = `
-- etc/libvirt/qemu.conf --
# nothing
-- var/lib/x --

-- usr/lib/vmhuge/vmhuge-hook --
a program
`
	faultsDomain = `
-- var/lib/x --

-- srv/plain.xml --
<node><domain file="web1.xml"/></node>
-- srv/enabled.xml --
<node><domain file="web1-enabled.xml"/></node>
-- srv/web1.xml --
<domain type="test">
  <name>web1</name>
  <uuid>11111111-1111-1111-1111-111111111111</uuid>
  <memory unit="MiB">64</memory>
  <os><type>hvm</type></os>
</domain>
-- srv/web1-enabled.xml --
<domain type="test">
  <name>web1</name>
  <uuid>11111111-1111-1111-1111-111111111111</uuid>
  <metadata><vmhuge:former xmlns:vmhuge="urn:vmhuge:1"><vmhuge:was at="hugepages"/></vmhuge:former></metadata>
  <memory unit="MiB">64</memory>
  <memoryBacking><hugepages><page size="2" unit="M"/></hugepages></memoryBacking>
  <os><type>hvm</type></os>
</domain>
`
)
