package libvirtd

import (
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

func TestName(t *testing.T) {
	const (
		none     = "-- run/libvirt/qemu/driver.pid --\n"
		both     = "-- usr/sbin/libvirtd --\nELF\n-- usr/sbin/virtqemud --\nELF\n"
		listed   = "-- proc/net/unix --\nNum RefCount Protocol Flags Type St Inode Path\n"
		listens  = "0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/libvirt/"
		sock     = "-- run/libvirt/libvirt-sock --\nx\n"
		qemuSock = "-- run/libvirt/virtqemud-sock --\nx\n"
		wants    = "-- etc/systemd/system/sockets.target.wants/"
	)
	for name, test := range map[string]struct{ host, edit, want string }{
		"libvirtd runs":                   {"one-node", "", "libvirtd"},
		"virtqemud runs":                  {"fedora", "", "virtqemud"},
		"both installed, virtqemud runs":  {"fedora", both, "virtqemud"},
		"both installed, libvirtd runs":   {"one-node", both, "libvirtd"},
		"both installed":                  {"one-node", none + both, "libvirtd"},
		"virtqemud alone":                 {"one-node", none + "-- usr/sbin/virtqemud --\nELF\n", "virtqemud"},
		"virtqemud alone, in bin":         {"one-node", none + "-- usr/bin/virtqemud --\nELF\n", "virtqemud"},
		"nothing":                         {"no-libvirt", "", "libvirtd"},
		"its socket listens":              {"one-node", none + both + qemuSock + listed + listens + "virtqemud-sock\n", "virtqemud"},
		"with that of virtproxyd":         {"one-node", none + both + sock + qemuSock + listed + listens + "libvirt-sock\n" + listens + "virtqemud-sock\n", "virtqemud"},
		"virtproxyd's alone":              {"one-node", none + both + sock + wants + "virtproxyd.socket --\nx\n" + wants + "virtqemud.socket --\nx\n" + listed + listens + "libvirt-sock\n", "virtqemud"},
		"libvirtd's listens":              {"one-node", none + both + sock + listed + listens + "libvirt-sock\n", "libvirtd"},
		"another namespace's socket":      {"one-node", none + both + listed + listens + "virtqemud-sock\n", "libvirtd"},
		"a socket that was left":          {"one-node", none + both + qemuSock + listed, "libvirtd"},
		"systemd starts its socket":       {"one-node", none + both + wants + "virtqemud.socket --\nx\n", "virtqemud"},
		"systemd starts it":               {"one-node", none + both + "-- etc/systemd/system/multi-user.target.wants/virtqemud.service --\nx\n", "virtqemud"},
		"OpenRC starts it":                {"one-node", none + both + "-- etc/runlevels/default/virtqemud --\nx\n", "virtqemud"},
		"libvirtd runs, the other starts": {"one-node", both + wants + "virtqemud.socket --\nx\n", "libvirtd"},
	} {
		if got := Name(host.Host{Root: hosttest.Unpack(t, test.host, test.edit)}); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
