package xml

import (
	"strings"

	"libvirt.org/go/libvirtxml"

	"vmhuge/internal/pages"
)

// domain is what is read of a domain, with libvirtxml's types of the elements
// that matter. To decode into its Domain, the types of all elements would have
// to be looked at first, for which the hook has no time.
type domain struct {
	Type          string                          `xml:"type,attr"`
	ID            *int                            `xml:"id,attr"`
	Name          string                          `xml:"name"`
	UUID          string                          `xml:"uuid"`
	MaximumMemory *libvirtxml.DomainMaxMemory     `xml:"maxMemory"`
	Memory        *libvirtxml.DomainMemory        `xml:"memory"`
	CurrentMemory *libvirtxml.DomainCurrentMemory `xml:"currentMemory"`
	MemoryBacking *libvirtxml.DomainMemoryBacking `xml:"memoryBacking"`
	VCPU          *libvirtxml.DomainVCPU          `xml:"vcpu"`
	CPUTune       *libvirtxml.DomainCPUTune       `xml:"cputune"`
	Resource      *libvirtxml.DomainResource      `xml:"resource"`
	NUMATune      *libvirtxml.DomainNUMATune      `xml:"numatune"`
	ACPI          *libvirtxml.DomainFeature       `xml:"features>acpi"`
	OSType        *osType                         `xml:"os>type"`
	Cells         []libvirtxml.DomainCell         `xml:"cpu>numa>cell"`
	Memorydevs    []libvirtxml.DomainMemorydev    `xml:"devices>memory"`
	SecLabels     []libvirtxml.DomainSecLabel     `xml:"seclabel"`

	Arguments []libvirtxml.DomainQEMUCommandlineArg `xml:"commandline>arg"` // of qemuNamespace, which the scanner sees to
}

// osType is the machine that QEMU makes.
type osType struct {
	Arch string `xml:"arch,attr"`
}

// arch is the guest's architecture in libvirt's words; "": none is stated.
func (dom *domain) arch() string {
	if dom.OSType == nil {
		return ""
	}
	return dom.OSType.Arch
}

func (dom *domain) kvm() bool { return dom.Type == "kvm" }

// hostArch is the architecture of the kernel that the guest's pages are of; "":
// any, as QEMU emulates every guest on every host.
func (dom *domain) hostArch() string {
	if !dom.kvm() {
		return ""
	}
	return dom.arch()
}

// alignment returns of how many KiB libvirt makes the RAM or a cell, and a
// memory device, a multiple: qemuDomainGetMemorySizeAlignment() and
// qemuDomainGetMemoryModuleSizeAlignment().
func (dom *domain) alignment() (ram, device int64) {
	if strings.HasPrefix(dom.arch(), "ppc64") {
		return 256 * 1024, 256 * 1024
	}
	return 1024, 2048
}

// ForQEMU refuses a domain of another hypervisor than QEMU, which takes memory
// in ways of its own, and one whose type or memory devices libvirt does not take
// (virDomainVirtType of src/conf/domain_conf.c).
func ForQEMU(doc []byte) error {
	d, err := parseOnce(doc)
	if err != nil {
		return err
	}
	dom := &d.domain
	switch dom.Type {
	case "qemu", "kvm":
		return wrongDevice(dom)
	case "":
		return refusal(dom, noCause, "write <domain type='kvm'>, or type='qemu' without KVM", "its <domain> has no type, without which libvirt refuses it")
	case "hvf":
		return refusal(dom, noCause, "name a domain of type kvm or qemu", "the domain is of type 'hvf', which runs on macOS alone, and that has no huge pages")
	case "kqemu", "xen", "lxc", "uml", "openvz", "test", "vmware", "hyperv", "vbox", "phyp", "parallels", "vz", "bhyve":
		return refusal(dom, noCause, "name a domain of type kvm or qemu", "the domain is of type '%s', and vmhuge makes huge pages for QEMU alone", dom.Type)
	}
	return refusal(dom, noCause, "take kvm, or qemu without KVM", "libvirt knows no <domain> of type '%s'", dom.Type)
}

// OfKernel says whether a guest's pages can be those of a kernel of that architecture, "":
// of which nothing is known: KVM runs its own kernel's guests, and QEMU emulates any.
func OfKernel(doc []byte, arch string) bool {
	d, err := parseOnce(doc)
	if err != nil || arch == "" {
		return false
	}
	guest := d.domain.hostArch()
	return guest == "" || pages.SameKernel(guest, arch)
}

// usual is the size of huge pages for the guest where nobody names one.
func (dom *domain) usual(have []pages.Size) pages.Size {
	if len(have) > 0 {
		return pages.Usual(dom.hostArch(), have)
	}
	return pages.Usual(dom.arch(), nil)
}
