package hostpage

import (
	"os"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// What is missing is to be installed by the host's own package manager, and a user made by
// its own tool.
func TestInstallOnDistributions(t *testing.T) {
	const root = "-- etc/libvirt/qemu.conf --\nuser = \"root\"\n"
	for _, test := range []struct{ release, check, edit, want string }{
		{"debian", "libvirt", "", "apt-get install libvirt-daemon-system, or use vmhuge exec"},
		{"fedora", "libvirt", "", "dnf install libvirt-daemon-kvm, or use vmhuge exec"},
		{"gentoo", "libvirt", "", "install libvirt, or use vmhuge exec"},
		{"ubuntu", "QEMU", "", "apt-get install qemu-system"},
		{"rhel", "QEMU", "", "dnf install qemu-kvm"},
		{"arch", "QEMU", "", "pacman -S qemu-base"},
		{"debian", "QEMU user", root, "adduser --system --group libvirt-qemu, and name it in /etc/libvirt/qemu.conf"},
		{"fedora", "QEMU user", root, "useradd --system --user-group qemu, and name it in /etc/libvirt/qemu.conf"},
		{"arch", "QEMU user", root, "useradd --system --user-group libvirt-qemu, and name it in /etc/libvirt/qemu.conf"},
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- etc/os-release --\nID="+test.release+"\n"+test.edit)}
		if test.check == "libvirt" {
			for _, trace := range []string{"etc/libvirt", "run/libvirt", "usr/sbin/libvirtd"} {
				hosttest.Must(t, os.RemoveAll(h.Root.Path(trace)))
			}
		}
		got := ""
		for _, fact := range Facts(h, Libvirt{}) {
			if fact.Name == test.check {
				got = fact.Do
			}
		}
		if got != test.want {
			t.Errorf("%s on %s: %q, not %q", test.check, test.release, got, test.want)
		}
	}
}
