package hostpage

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

// What is missing is to be installed by the host's own package manager, and a user made by
// its own tool.
func TestInstallOnDistributions(t *testing.T) {
	const (
		asRoot = "-- etc/libvirt/qemu.conf --\nuser = \"root\"\n"
		root   = asRoot + "-- etc/passwd --\nroot:x:0:0:root:/root:/bin/bash\n"
		qemu   = root + "qemu:x:107:107:qemu:/:/sbin/nologin\n"
	)
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
		{"nixos", "QEMU user", root, "set virtualisation.libvirtd.qemu.runAsRoot = false in the host's configuration, and nixos-rebuild switch"},
		{"debian", "QEMU user", asRoot, "take user= out of /etc/libvirt/qemu.conf, so that QEMU runs as libvirt-qemu, and restart libvirtd"},
		{"of-nobody", "QEMU user", asRoot + "group = \"root\"\n", "take user= and group= out of /etc/libvirt/qemu.conf, so that QEMU runs as libvirt-qemu, and restart libvirtd"},
		{"fedora", "QEMU user", qemu, "take user= out of /etc/libvirt/qemu.conf, so that QEMU runs as qemu, and restart libvirtd"},
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

// A hugetlbfs has no remount: its options are those of the mount that it was made by.
func TestMountOptionsNeedANewMount(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- proc/self/mountinfo --\n"+hosttest.RootMounts+
		"44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M,size=2097152,min_size=2097152,nr_inodes=1\n")}
	var done []string
	for _, fact := range Facts(h, Libvirt{}) {
		if fact.Name == "hugetlbfs" && strings.Contains(fact.Have, "mounted with") {
			done = append(done, fact.Do)
		}
	}
	for i, option := range []string{"size=", "min_size=", "nr_inodes=, or with a larger one"} {
		if want := "umount /dev/hugepages with no guest on it, and mount it again without " + option; i >= len(done) || done[i] != want {
			t.Errorf("%q: want %q", done, want)
		}
	}
}

// On s390x KVM takes huge pages only if its module was loaded so; elsewhere nothing is said.
func TestKVMPages(t *testing.T) {
	const on1MiB = "-- proc/meminfo --\nMemTotal: 16384000 kB\nMemFree: 9000000 kB\nMemAvailable: 9900000 kB\nHugepagesize: 1024 kB\n-- sys/module/kvm/parameters/hpage --\n"
	for edit, want := range map[string]string{
		"":             "",
		on1MiB + "0\n": "the module kvm was loaded without hpage=1",
		on1MiB + "1\n": "takes guests on pages of 1 MiB: hpage=1",
	} {
		got := ""
		for _, fact := range Facts(host.Host{Root: hosttest.Unpack(t, "one-node", edit)}, Libvirt{}) {
			if fact.Name == "KVM pages" {
				got = fact.Have
			}
		}
		if got != want {
			t.Errorf("%q: %q", edit, got)
		}
	}
}

// What check says of a libvirt that has its files elsewhere is about those files.
func TestElsewhere(t *testing.T) {
	const conf = "-- opt/libvirt/etc/libvirt/qemu.conf --\n"
	usual := regexp.MustCompile(`(^|[^/\w])(/etc|/run|/var/lib|/var/log)/libvirt\b`)
	for _, test := range []struct{ name, edit, want string }{
		{"as it is", "", "ok QEMU user: alice"},
		{"no such user", conf + "user = \"none\"\n", "the user and group that /opt/libvirt/etc/libvirt/qemu.conf names"},
		{"root", conf + "user = \"root\"\n", "take user= out of /opt/libvirt/etc/libvirt/qemu.conf, so that QEMU runs as libvirt-qemu, and restart virtqemud"},
		{"a setting of no use", conf + "hugetlbfs_mount = [\"/srv/none\"]\n", "is mounted on a hugetlbfs_mount of qemu.conf"},
		{"a line that is wrong", conf + "user =\n", "/opt/libvirt/etc/libvirt/qemu.conf"},
		{"a hook that sets pools", "-- modes --\nopt/libvirt/etc/libvirt/hooks/qemu 0755 0:0\n-- opt/libvirt/etc/libvirt/hooks/qemu --\n#!/bin/sh\necho 1 > /proc/sys/vm/nr_hugepages\n", "/opt/libvirt/etc/libvirt/hooks/qemu"},
		{"not running", "-- opt/libvirt/run/libvirt/qemu/driver.pid --\n", "ok libvirt: virtqemud starts on demand"},
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.Prefix+test.edit)}
		h.Root.SetLibvirt(hostfs.Libvirt{Etc: "/opt/libvirt/etc", Var: "/opt/libvirt/var", Run: "/opt/libvirt/run"})
		text := ""
		for _, f := range Facts(h, Libvirt{}) {
			text += fmt.Sprintf("%s %s: %s; %s; %s\n", f.Severity, f.Name, f.Have, f.Need, f.Do)
		}
		if !strings.Contains(text, test.want) || usual.MatchString(text) {
			t.Errorf("%s: no %q, or a path of another libvirt, in\n%s", test.name, test.want, text)
		}
	}
}
