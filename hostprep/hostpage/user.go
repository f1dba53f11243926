package hostpage

import (
	"cmp"
	"errors"
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
)

// qemuUserCheck says whom libvirt runs QEMU as, and whether there is such a user.
var qemuUserCheck = hostCheck{"QEMU user", func(h host.Host, g anyGuest) ([]Fact, error) {
	const name = "QEMU user"
	if libvirt, err := libvirtd.Installed(h); err != nil || !libvirt {
		return nil, err
	}
	u, err := check.RunsAs(h, g.Starter)
	switch {
	case isNoAccount(err):
		return []Fact{block(hostprep.BadHost, name, err.Error(), "the user and group that "+libvirtd.QEMUConfPath(h)+" names", "correct user = and group = there, or create them, then restart "+libvirtd.Name(h))}, nil
	case err != nil:
		return nil, err
	case u.UID == 0:
		do, err := notRoot(h, g.Conf)
		return []Fact{off(hostprep.Note, name, "root", "a dedicated user", do)}, err
	}
	return []Fact{fine(name, fmt.Sprintf("%s, %d:%d, groups %v", u.Name, u.UID, u.GID, u.Groups))}, nil
}}

// notRoot says how to have QEMU run as a user of its own: as the one that the host's
// libvirt takes where qemu.conf names none, if there is one.
func notRoot(h host.Host, path string) (string, error) {
	conf, err := libvirtd.ReadQEMUConf(h, path)
	if err != nil {
		return "", err
	}
	usual, err := libvirtd.QEMUUser(h, libvirtd.QEMUConf{})
	if err != nil {
		return "", err
	}
	file := cmp.Or(path, libvirtd.QEMUConfPath(h))
	nixOS, err := h.NixOS()
	if err != nil {
		return "", err
	}
	if nixOS { // it writes qemu.conf itself
		return "set virtualisation.libvirtd.qemu.runAsRoot = false in the host's configuration, and nixos-rebuild switch", nil
	}
	if usual.UID == 0 {
		return newUser(h) + ", and name it in " + file, nil
	}
	settings := "user="
	if conf.Group != "" {
		settings += " and group="
	}
	return fmt.Sprintf("take %s out of %s, so that QEMU runs as %s, and restart %s", settings, file, usual.Name, libvirtd.Name(h)), nil
}

// newUser is the command that makes the user whom the host's distribution runs QEMU as.
func newUser(h host.Host) string {
	switch family, _ := h.Family(); family { // a file that can't be read tells no family
	case host.Debian:
		return "adduser --system --group libvirt-qemu"
	case host.Arch:
		return "useradd --system --user-group libvirt-qemu"
	}
	return "useradd --system --user-group qemu"
}

// devKVMCheck asks whether QEMU may open /dev/kvm, which only some guests need.
var devKVMCheck = hostCheck{"/dev/kvm", func(h host.Host, g anyGuest) ([]Fact, error) {
	findings, err := check.KVM.Detect(h, g.Guest)
	if err == nil && len(findings) == 0 {
		return []Fact{fine("/dev/kvm", "QEMU can open it")}, nil
	}
	if isNoAccount(err) {
		return nil, nil // qemuUserCheck says so
	}
	return of("/dev/kvm", findings, hostprep.Warning), err
}}

// kvmPagesCheck asks whether KVM takes guests on huge pages, which only s390x leaves open.
var kvmPagesCheck = hostCheck{"KVM pages", func(h host.Host, g anyGuest) ([]Fact, error) {
	findings, err := check.KVMPages.Detect(h, g.Guest)
	if kvm, _ := h.KVMHPage(); err == nil && len(findings) == 0 && kvm.Known {
		return []Fact{fine("KVM pages", "takes guests on pages of 1 MiB: hpage=1")}, nil
	}
	return of("KVM pages", findings, hostprep.Warning), err
}}

// isNoAccount says whether an error is one that qemuUserCheck tells of.
func isNoAccount(err error) bool {
	return errors.Is(err, host.ErrNoUser) || errors.Is(err, host.ErrNoGroup)
}
