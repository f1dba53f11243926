package libvirtd

import (
	"errors"
	"fmt"
	"slices"

	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
)

// MountGroup is the group of the user that QEMU runs as, which is kvm's on most
// distributions.
func MountGroup(h host.Host) (string, error) {
	conf, err := ReadQEMUConf(h, "")
	if err != nil {
		return "", err
	}
	user, err := QEMUUser(h, conf)
	if err != nil {
		return "", err
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

// QEMUUser finds whom the system driver runs QEMU as: the user of qemu.conf,
// else the one of the distribution, else root, which is libvirt's own default.
func QEMUUser(h host.Host, conf QEMUConf) (host.User, error) {
	if conf.User != "" {
		return h.User(conf.User, conf.Group)
	}
	for _, name := range []string{"libvirt-qemu", "qemu"} { // Debian; Fedora, SUSE, Arch
		if u, err := h.User(name, conf.Group); !errors.Is(err, host.ErrNoUser) {
			return u, err
		}
	}
	return h.User("+0", conf.Group)
}
