package hosttest

// Hosts whose libvirt has its files elsewhere, as edits of one-node. What a libvirt.so says is cut
// down to the strings that tell where, and some beside them.
const (
	// Nix is NixOS: sysconfdir is /var/lib, and nobody has an /etc/libvirt. The daemon's program
	// is in a wrapper, and its configuration in the store.
	Nix = "-- etc/os-release --\nID=nixos\n" +
		"-- proc/500/cmdline --\n" + nixStore + "/bin/.libvirtd-wrapped\x00--config\x00/nix/store/k8-libvirtd.conf\x00\n" +
		"-- proc/500/maps --\n7f0a4c200000-7f0a4c2a1000 r--p 00000000 fe:01 1443                       " + nixStore + "/lib/libvirt.so.0.10000.0\n" +
		"-- nix/store/r0-libvirt-10.0.0/lib/libvirt.so.0.10000.0 --\n\x7fELF\x00%s/libvirt/hooks\x00/var/lib/libvirt/hooks\x00/var/lib\x00/run\x00/run/libvirt/virtlogd-sock\x00/etc/vz/conf\x00/var\x00\n" +
		"-- var/lib/libvirt/qemu.conf --\nnamespaces = []\n" +
		"-- etc/passwd --\nroot:x:0:0:System administrator:/root:/run/current-system/sw/bin/bash\nqemu-libvirtd:x:301:301::/var/empty:/bin/nologin\n" +
		"-- etc/group --\nroot:x:0:\nkvm:x:302:qemu-libvirtd\nqemu-libvirtd:x:301:\n" +
		"-- modes --\nvar/lib/libvirt/qemu/ 0751 0:0\n"
	nixStore = "/nix/store/r0-libvirt-10.0.0"

	// Prefix is a libvirt in /opt/libvirt, as virtqemud, beside what is left of Debian's.
	Prefix = "-- etc/os-release --\nID=debian\n" +
		"-- run/libvirt/qemu/driver.pid --\n-- opt/libvirt/run/libvirt/qemu/driver.pid --\n500\n" +
		"-- proc/500/comm --\nvirtqemud\n" +
		"-- proc/500/cmdline --\n/opt/libvirt/sbin/virtqemud\x00--timeout\x00120\x00\n" +
		"-- proc/500/maps --\n7f0a4c200000-7f0a4c2a1000 r--p 00000000 fe:01 1443                       /opt/libvirt/lib/libvirt.so.0.11003.0\n" +
		PrefixLibrary + PrefixSockets +
		"-- opt/libvirt/etc/libvirt/qemu.conf --\nuser = \"alice\"\n" +
		"-- etc/libvirt/qemu.conf --\nuser = \"nobody-here\"\n" +
		"-- modes --\nopt/libvirt/var/lib/libvirt/qemu/ 0751 64055:64055\nvar/lib/libvirt/qemu/ 0751 64055:64055\n"
	PrefixLibrary = "-- opt/libvirt/lib/libvirt.so.0 --\n" + prefixStrings + "-- opt/libvirt/lib/libvirt.so.0.11003.0 --\n" + prefixStrings
	PrefixSockets = "-- opt/libvirt/run/libvirt/virtqemud-sock --\nx\n" +
		"-- proc/net/unix --\nNum       RefCount Protocol Flags    Type St Inode Path\n" +
		"0000000000000000: 00000002 00000000 00010000 0001 01 12345 /opt/libvirt/run/libvirt/virtqemud-sock\n"
	prefixStrings = "\x7fELF\x00/opt/libvirt/etc/libvirt/hooks\x00/opt/libvirt/etc\x00/opt/libvirt/run\x00/opt/libvirt/run/libvirt/virtlogd-sock\x00/opt/libvirt/var\x00/var\x00\n"
)
