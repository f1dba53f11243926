package host_test

import (
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// A package is installed with the command and by the name of the host's distribution.
func TestInstall(t *testing.T) {
	libvirt := host.Package{host.Debian: "libvirt-daemon-system", host.Fedora: "libvirt-daemon-kvm", host.UnknownFamily: "libvirt"}
	for release, want := range map[string]string{
		"": "install libvirt",
		"-- etc/os-release --\nNAME=\"Debian\"\nID=debian\n":                                      "apt-get install libvirt-daemon-system",
		"-- etc/os-release --\nID=ubuntu\nID_LIKE=debian\n":                                       "apt-get install libvirt-daemon-system",
		"-- etc/os-release --\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n":                         "apt-get install libvirt-daemon-system",
		"-- etc/os-release --\nID=fedora\n":                                                       "dnf install libvirt-daemon-kvm",
		"-- etc/os-release --\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n":                    "dnf install libvirt-daemon-kvm",
		"-- usr/lib/os-release --\nID=fedora\n":                                                   "dnf install libvirt-daemon-kvm",
		"-- etc/os-release --\nID='opensuse-leap'\nID_LIKE='suse opensuse'\n":                     "zypper install libvirt",
		"-- etc/os-release --\nID=sles\n":                                                         "zypper install libvirt",
		"-- etc/os-release --\nID=endeavouros\nID_LIKE=arch\n":                                    "pacman -S libvirt",
		"-- etc/os-release --\nID=nixos\n":                                                        "install libvirt",
		"-- etc/os-release --\nID=debian\n-- usr/lib/os-release --\nID=fedora\n":                  "apt-get install libvirt-daemon-system",
		"-- etc/os-release --\n# ID=debian\nVARIANT_ID=debian\nPRETTY_NAME=\"ID=debian\"\nID=x\n": "install libvirt",
	} {
		if got := host.Install(host.Host{Root: hosttest.Unpack(t, "one-node", release)}, libvirt); got != want {
			t.Errorf("%q: %s, not %s", release, got, want)
		}
	}
}
