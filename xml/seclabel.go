package xml

import (
	"cmp"
	"slices"

	"libvirt.org/go/libvirtxml"
)

// unconfined says that libvirt is to make no profile of AppArmor's for the guest.
func unconfined(dom *domain) bool {
	return slices.ContainsFunc(dom.SecLabels, func(l libvirtxml.DomainSecLabel) bool {
		return l.Type == "none" && (l.Model == "" || l.Model == "apparmor")
	})
}

// context is the domain's own for SELinux: a label, a base for one, "none", or "" where it
// leaves that to libvirt.
func context(dom *domain) string {
	own := ""
	for _, l := range dom.SecLabels {
		switch {
		case l.Model != "" && l.Model != "selinux":
		case l.Type == "none":
			return l.Type
		default:
			own = cmp.Or(l.Label, l.BaseLabel)
		}
	}
	return own
}
