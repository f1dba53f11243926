package libvirtd

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
)

// MountGroup is the group that qemu.conf names, else that of the user that QEMU runs as: on
// most distributions kvm, in which other programs' users are as well, unlike the build's.
func MountGroup(h host.Host) (string, error) {
	conf, err := ReadQEMUConf(h, "")
	if err != nil {
		return "", err
	}
	user, err := QEMUUser(h, conf)
	if err != nil {
		return "", err
	}
	if conf.Group == "" {
		if user, err = h.User(user.Name, ""); err != nil {
			return "", err
		}
	}
	_, groups, err := h.Accounts()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(groups, func(a host.Account) bool { return a.Id == user.GID })
	if i < 0 {
		return "", advice.New("finding the group of "+user.Name, fmt.Sprintf("/etc/group has none with the number %d", user.GID), "name one: --mount-group GROUP")
	}
	return groups[i].Name, nil
}

// builtFor is whom a distribution's libvirt runs QEMU as where qemu.conf names nobody: what it is
// built with. A distribution's rows count from the first whose user the host has.
type builtFor struct{ distribution, user, group string }

var builtWithUsers = []builtFor{
	// libvirt's meson.build, by os-release of the host that builds it; root is for all others.
	{"ubuntu", "libvirt-qemu", "kvm"},
	{"debian", "libvirt-qemu", "libvirt-qemu"}, // and debian/rules
	{"fedora", "qemu", "qemu"},                 // and libvirt.spec; RHEL and its kin are like it
	{"rhel", "qemu", "qemu"},
	{"centos", "qemu", "qemu"},
	{"suse", "qemu", "qemu"},
	{"sles", "qemu", "qemu"},
	{"gentoo", "qemu", "qemu"}, {"gentoo", "root", "root"}, // its ebuild: with USE=caps, and without
	{"arch", "libvirt-qemu", "libvirt-qemu"}, {"arch", "nobody", "kvm"}, // its PKGBUILD, up to libvirt 8
	{"nixos", "root", "root"},  // its package sets none; the option runAsRoot = false sets qemu.conf's
	{"alpine", "root", "root"}, // its APKBUILD sets none
	// Those that set them.
	{"void", "libvirt", "libvirt"},                // srcpkgs/libvirt/template
	{"guix", "nobody", "kvm"},                     // gnu/packages/virtualization.scm
	{"chimera", "_libvirt-qemu", "_libvirt-qemu"}, // its template.py
}

// anywhere is tried where the distribution is not in the table: libvirt's own default is root.
var anywhere = []builtFor{{"", "libvirt-qemu", ""}, {"", "qemu", ""}, {"", "+0", ""}}

// QEMUUser finds whom the system driver runs QEMU as: as qemu.conf says; else as the folder of the
// guests says, which the driver gives to that user when it starts; else as the distribution's
// libvirt is built. A group that is not set is not the user's own, but that of the build.
//
// Source: virQEMUDriverConfigNew() and virQEMUDriverConfigLoadSecurityEntry() in
// src/qemu/qemu_conf.c, qemuStateInitialize() in src/qemu/qemu_driver.c.
func QEMUUser(h host.Host, conf QEMUConf) (host.User, error) {
	if conf.User != "" && conf.Group != "" {
		return h.User(conf.User, conf.Group)
	}
	given, err := h.Lstat(h.Root.Libvirt().QEMULib())
	if err != nil {
		return host.User{}, err
	}
	if given != nil && given.Uid != 0 {
		return h.User(cmp.Or(conf.User, fmt.Sprintf("+%d", given.Uid)), cmp.Or(conf.Group, fmt.Sprintf("+%d", given.Gid)))
	}
	ids, err := h.Distributions()
	if err != nil {
		return host.User{}, err
	}
	var rows []builtFor
	for _, id := range ids {
		for _, row := range builtWithUsers {
			if row.distribution == id {
				rows = append(rows, row)
			}
		}
	}
	for _, row := range append(rows, anywhere...) {
		if conf.User != "" {
			row.user = conf.User
		}
		u, err := h.User(row.user, cmp.Or(conf.Group, row.group))
		if errors.Is(err, host.ErrNoUser) && conf.User == "" {
			continue
		}
		if errors.Is(err, host.ErrNoGroup) && conf.Group == "" {
			return h.User(row.user, "") // a release that was built otherwise
		}
		return u, err
	}
	return host.User{}, host.ErrNoUser // not reached: there is always a user 0
}
