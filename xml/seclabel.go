package xml

import (
	"slices"

	"libvirt.org/go/libvirtxml"
)

// unconfined says that libvirt is to make no profile of AppArmor's for the guest.
func unconfined(dom *domain) bool {
	return slices.ContainsFunc(dom.SecLabels, func(l libvirtxml.DomainSecLabel) bool {
		return l.Type == "none" && (l.Model == "" || l.Model == "apparmor")
	})
}
