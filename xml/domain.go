package xml

import "libvirt.org/go/libvirtxml"

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
}

// osType is the machine that QEMU makes.
type osType struct {
	Arch string `xml:"arch,attr"`
}
