package xml

import "strings"

// emulatorCPUs returns the processors of QEMU's own threads. With automatic
// placement libvirt takes no heed of <emulatorpin>.
func emulatorCPUs(dom *domain) string {
	list := ""
	if dom.VCPU != nil {
		if dom.VCPU.Placement == "auto" {
			return ""
		}
		list = dom.VCPU.CPUSet
	}
	if t := dom.CPUTune; t != nil && t.EmulatorPin != nil {
		list = t.EmulatorPin.CPUSet
	}
	set, err := parseNodeset(list) // it is written as lists of nodes are
	if err != nil {
		return "" // none, or one that libvirt refuses when it is defined
	}
	return formatNodeset(set)
}

func partition(dom *domain) string {
	if dom.Resource == nil {
		return ""
	}
	return strings.TrimSpace(dom.Resource.Partition)
}
