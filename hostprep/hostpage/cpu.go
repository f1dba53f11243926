package hostpage

import (
	"fmt"
	"path"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
)

// processorCheck says which huge pages the processor can map.
var processorCheck = hostCheck{"processor", func(h host.Host, _ anyGuest) ([]Fact, error) {
	const name = "processor"
	cpu, err := h.CPU()
	switch {
	case err != nil:
		return nil, err
	case !cpu.Known:
		return []Fact{fine(name, "does not report which huge pages it supports; see the kernel's page sizes")}, nil
	case !cpu.PSE:
		return []Fact{off(hostprep.Warning, name, "does not support huge pages: no pse flag", "pse", "this is a virtual machine: give it the host's CPU model (host-passthrough)")}, nil
	case !cpu.PDPE1GB:
		return []Fact{off(hostprep.Note, name, "supports 2 MiB pages (pse), not 1 GiB pages", "the pdpe1gb flag, for 1 GiB pages",
			"use 2 MiB pages; in a virtual machine, use the host's CPU model (host-passthrough)")}, nil
	}
	return []Fact{fine(name, "supports 2 MiB (pse) and 1 GiB (pdpe1gb) pages")}, nil
}}

// virtualizationCheck asks whether the processor walks a guest's page tables and
// the host's in hardware, and tags its TLB by guest. Without that, KVM keeps shadow page
// tables for each guest, and huge pages bring little.
var virtualizationCheck = hostCheck{"virtualization", func(h host.Host, _ anyGuest) ([]Fact, error) {
	cpu, err := h.CPU()
	if err != nil || !cpu.Known {
		return nil, err
	}
	type feature struct {
		name    string
		has     bool
		lack    hostprep.Severity
		without string
	}
	const ownTables = "KVM uses shadow page tables, and huge pages gain less"
	var module string
	var features []feature
	switch {
	case cpu.VMX:
		module, features = "kvm_intel", []feature{{"EPT", cpu.EPT, hostprep.Warning, ownTables}, {"VPID", cpu.VPID, hostprep.Note, "every VM exit flushes the TLB"}}
	case cpu.SVM:
		module, features = "kvm_amd", []feature{{"NPT", cpu.NPT, hostprep.Warning, ownTables}}
	default:
		return []Fact{off(hostprep.Warning, "KVM", "the processor has neither vmx nor svm", "vmx or svm, for <domain type='kvm'>",
			"enable virtualization in the firmware; in a virtual machine, enable nested virtualization on its host")}, nil
	}
	dir := "/sys/module/" + module
	loaded, err := h.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if loaded == nil {
		return []Fact{off(hostprep.Warning, "KVM", module+" is not loaded", module+", for <domain type='kvm'>", "modprobe "+module)}, nil
	}
	var facts []Fact
	for _, f := range features {
		param := strings.ToLower(f.name)
		set, err := h.ReadIfThere(path.Join(dir, "parameters", param))
		if err != nil {
			return facts, err
		}
		set = strings.TrimSpace(set)
		switch {
		case !f.has:
			facts = append(facts, off(f.lack, f.name, "the processor does not support it", f.name+": without it, "+f.without,
				"in a virtual machine, use the host's CPU model (host-passthrough)"))
		case set == "N" || set == "0":
			do, err := moduleOption(h, module, param)
			if err != nil {
				return facts, err
			}
			facts = append(facts, off(hostprep.Warning, f.name, fmt.Sprintf("%s is loaded with %s=%s, although the processor supports it", module, param, set),
				param+"=1: without it, "+f.without, do))
		default:
			facts = append(facts, fine(f.name, "on ("+module+")"))
		}
	}
	return facts, nil
}}

// moduleOption is how a parameter of a kernel module is set that can only be
// set when it is loaded. One that is built in has no initstate.
func moduleOption(h host.Host, module, param string) (string, error) {
	loadable, err := h.Lstat("/sys/module/" + module + "/initstate")
	if err != nil || loadable == nil {
		return fmt.Sprintf("boot with %s.%s=1 on the kernel command line", module, param), err
	}
	return fmt.Sprintf("stop all guests, then: echo 'options %s %s=1' >> /etc/modprobe.d/zz-vmhuge.conf && modprobe -r %s && modprobe %s",
		module, param, module, module), nil
}
