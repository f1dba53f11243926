package libvirtd

import (
	"fmt"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// The mounts' group is the one in which Debian's user is, not that of Debian's build.
func TestMountGroup(t *testing.T) {
	const given = "-- modes --\nvar/lib/libvirt/qemu/ 0751 64055:64055\n"
	for edit, want := range map[string]string{given: "kvm", given + "-- etc/libvirt/qemu.conf --\ngroup = \"alice\"\n": "alice"} {
		if got, err := MountGroup(host.Host{Root: hosttest.Unpack(t, "one-node", edit)}); err != nil || got != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}

// Whom QEMU runs as where qemu.conf leaves it open.
func TestUsersOfDistributions(t *testing.T) {
	const (
		accounts = "-- etc/passwd --\nroot:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nalice:x:1000:1000::/home/alice:/bin/sh\n"
		groups   = "-- etc/group --\nroot:x:0:\nkvm:x:107:\nqemu:x:36:\nlibvirt:x:50:\nlibvirt-qemu:x:64055:\n_libvirt-qemu:x:51:\nnobody:x:65534:\nalice:x:1000:\n"
		given    = "-- modes --\nvar/lib/libvirt/qemu/ 0751 "
	)
	debian, qemu := "libvirt-qemu:x:64055:107::/:/bin/false\n", "qemu:x:36:36::/:/bin/false\n"
	for name, test := range map[string]struct {
		release, users, edit string
		conf                 QEMUConf
		want                 string
	}{
		"Debian":                              {"ID=debian", debian, "", QEMUConf{}, "libvirt-qemu 64055:64055"},
		"Ubuntu":                              {"ID=ubuntu\nID_LIKE=debian", debian, "", QEMUConf{}, "libvirt-qemu 64055:107"},
		"Mint":                                {"ID=linuxmint\nID_LIKE=\"ubuntu debian\"", debian, "", QEMUConf{}, "libvirt-qemu 64055:107"},
		"Fedora":                              {"ID=fedora", qemu, "", QEMUConf{}, "qemu 36:36"},
		"Rocky":                               {"ID=rocky\nID_LIKE=\"rhel centos fedora\"", qemu, "", QEMUConf{}, "qemu 36:36"},
		"Tumbleweed":                          {"ID=opensuse-tumbleweed\nID_LIKE=\"opensuse suse\"", qemu, "", QEMUConf{}, "qemu 36:36"},
		"SLES":                                {"ID=sles", qemu, "", QEMUConf{}, "qemu 36:36"},
		"Gentoo with caps":                    {"ID=gentoo", qemu, "", QEMUConf{}, "qemu 36:36"},
		"Gentoo without":                      {"ID=gentoo", "", "", QEMUConf{}, "root 0:0"},
		"Arch":                                {"ID=arch", debian, "", QEMUConf{}, "libvirt-qemu 64055:64055"},
		"Arch, older":                         {"ID=endeavouros\nID_LIKE=arch", "", "", QEMUConf{}, "nobody 65534:107"},
		"NixOS":                               {"ID=nixos", qemu, "", QEMUConf{}, "root 0:0"},
		"NixOS, runAsRoot = false":            {"ID=nixos", "qemu-libvirtd:x:301:301::/:/bin/false\n", "", QEMUConf{User: "qemu-libvirtd", Group: "kvm"}, "qemu-libvirtd 301:107"},
		"Alpine":                              {"ID=alpine", qemu, "", QEMUConf{}, "root 0:0"},
		"Void":                                {"ID=void", "libvirt:x:50:50::/:/bin/false\n" + qemu, "", QEMUConf{}, "libvirt 50:50"},
		"Guix":                                {"ID=guix", "", "", QEMUConf{}, "nobody 65534:107"},
		"Chimera":                             {"ID=chimera", "_libvirt-qemu:x:51:51::/:/bin/false\n", "", QEMUConf{}, "_libvirt-qemu 51:51"},
		"another":                             {"ID=hannah", qemu, "", QEMUConf{}, "qemu 36:36"},
		"another, without either":             {"ID=hannah", "", "", QEMUConf{}, "root 0:0"},
		"no such group":                       {"ID=debian", debian, "-- etc/group --\nroot:x:0:\nkvm:x:107:\n", QEMUConf{}, "libvirt-qemu 64055:107"},
		"the driver gave its folder":          {"ID=debian", debian + qemu, given + "36:107\n", QEMUConf{}, "qemu 36:107"},
		"to root, as qemu.conf said":          {"ID=debian", debian, given + "0:0\n", QEMUConf{}, "libvirt-qemu 64055:64055"},
		"to a number":                         {"ID=debian", debian, given + "77:78\n", QEMUConf{}, "+77 77:78"},
		"a user, the group of the build":      {"ID=debian", debian, "", QEMUConf{User: "alice"}, "alice 1000:64055"},
		"a user, the group of the folder":     {"ID=debian", debian, given + "1000:107\n", QEMUConf{User: "alice"}, "alice 1000:107"},
		"a group, the user of the build":      {"ID=debian", debian, "", QEMUConf{Group: "kvm"}, "libvirt-qemu 64055:107"},
		"a group, on an unknown system":       {"ID=hannah", qemu, "", QEMUConf{Group: "kvm"}, "qemu 36:107"},
		"a user that is not there":            {"ID=debian", debian, "", QEMUConf{User: "bob"}, "no such user: bob"},
		"a group that is not there":           {"ID=debian", debian, "", QEMUConf{Group: "cats"}, "no such group: cats"},
		"a user that is not, beside a folder": {"ID=debian", debian, given + "36:107\n", QEMUConf{User: "bob"}, "no such user: bob"},
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- etc/os-release --\n"+test.release+"\n"+accounts+test.users+groups+test.edit)}
		u, err := QEMUUser(h, test.conf)
		got := fmt.Sprintf("%s %d:%d", u.Name, u.UID, u.GID)
		if err != nil {
			got = err.Error()
		}
		if got != test.want || err == nil && !u.In(u.GID) {
			t.Errorf("%s: %s %v, want %s", name, got, u.Groups, test.want)
		}
	}
}
