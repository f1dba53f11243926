package selinux

import (
	"slices"
	"strings"

	"vmhuge/hostprep/host"
)

// Guest is a QEMU of libvirt's: the contexts of its process and of its files, but for the
// categories that tell one guest from another.
type Guest struct{ Process, Image string }

// ReadGuest reads the contexts that the policy has for guests; they are empty where it has
// none. The second for a process is that of a guest whose code QEMU translates.
//
// Source: virSecuritySELinuxQEMUInitialize in src/security/security_selinux.c of libvirt.
func ReadGuest(h host.Host, translated bool) (Guest, error) {
	var contexts [2][]string
	for i, name := range []string{"contexts/virtual_domain_context", "contexts/virtual_image_context"} {
		file, err := policyFile(h, name)
		if err != nil {
			return Guest{}, err
		}
		text, err := h.ReadIfThere(file)
		if err != nil {
			return Guest{}, err
		}
		contexts[i] = strings.Fields(text)
	}
	processes, images := contexts[0], contexts[1]
	if len(processes) == 0 || len(images) == 0 {
		return Guest{}, nil
	}
	if translated {
		return Guest{processes[min(1, len(processes)-1)], images[0]}, nil
	}
	return Guest{processes[0], images[0]}, nil
}

// HugePages finds what keeps a guest from its memory on a hugetlbfs that has a folder with this
// context; nil: nothing. Its memory is a file in a folder that the daemon makes and labels
// there, or, onFile false, a memfd.
func HugePages(h host.Host, daemon string, g Guest, folder string, onFile bool) (*Denial, error) {
	var steps []Denial
	memory := []string{"read", "write", "map"}
	if onFile {
		made, err := created(h, daemon, folder, "dir")
		if err != nil {
			return nil, err
		}
		steps = []Denial{
			{daemon, made, "dir", []string{"create", "setattr", "relabelfrom"}},
			{daemon, g.Image, "dir", []string{"relabelto"}},
			{g.Process, g.Image, "dir", []string{"search", "write", "add_name", "remove_name"}},
		}
		folder, memory = g.Image, append(memory, "create", "open", "unlink")
	}
	file, err := created(h, g.Process, folder, "file")
	if err != nil {
		return nil, err
	}
	return first(h, append(steps, Denial{g.Process, file, "file", memory}))
}

// OfGuests says that this is one of the two that vmhuge's module allows for each guest on huge
// pages, and policies such as Debian's do not.
func (d Denial) OfGuests() bool {
	switch Type(d.Subject) {
	case "virtd_t", "virtqemud_t":
		return Type(d.Object) == "hugetlbfs_t" && slices.Equal(d.Permissions, []string{"relabelfrom"})
	case "svirt_t":
		return Type(d.Object) == "svirt_image_t" && slices.Equal(d.Permissions, []string{"map"})
	}
	return false
}

// module is vmhuge's policy, where the package vmhuge-selinux has it.
const module = "/usr/share/selinux/packages/vmhuge.cil"

// LoadModule is how the policy gets vmhuge's module.
func LoadModule(h host.Host) string {
	if st, _ := h.Lstat(module); st != nil {
		return "semodule -i " + module
	}
	return "install the package vmhuge-selinux, which has a policy for it"
}
