package hostpage

import (
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
)

// securityCheck says which security modules watch libvirt and QEMU, and whether
// AppArmor lets QEMU look at a node's processors.
var securityCheck = hostCheck{"security", func(h host.Host, g anyGuest) ([]Fact, error) {
	conf, err := libvirtd.ReadQEMUConf(h, "")
	if err != nil {
		return nil, err
	}
	apart := func(driver string) string {
		if conf.SecurityDrivers != nil && !slices.Contains(conf.SecurityDrivers, driver) {
			return "; " + libvirtd.QEMUConfPath(h) + " disables it for guests"
		}
		return ""
	}
	var facts []Fact
	enabled, err := h.ReadIfThere("/sys/module/apparmor/parameters/enabled")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(enabled) == "Y" {
		// Only root may read it.
		profiles, _ := h.ReadIfThere(check.AppArmorProfiles)
		facts = append(facts, fine("AppArmor", "on"+check.DaemonProfiles(profiles)+apart("apparmor")))
		findings, err := check.AppArmor.Detect(h, g.Guest)
		if err != nil {
			return facts, err
		}
		facts = append(facts, of("AppArmor", findings, hostprep.Warning)...)
	}
	enforce, err := h.ReadIfThere("/sys/fs/selinux/enforce")
	if err != nil {
		return facts, err
	}
	switch strings.TrimSpace(enforce) {
	case "1":
		facts = append(facts, fine("SELinux", "enforcing"+apart("selinux")))
		findings, err := check.SELinux.Detect(h, g.Guest)
		if err != nil {
			return facts, err
		}
		facts = append(facts, of("SELinux", findings, hostprep.Blocker)...)
	case "0":
		facts = append(facts, fine("SELinux", "permissive: it blocks nothing"+apart("selinux")))
	}
	if len(facts) == 0 {
		facts = append(facts, fine("security", "neither AppArmor nor SELinux is on"))
	}
	return facts, nil
}}
