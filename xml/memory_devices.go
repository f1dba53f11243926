package xml

import (
	"fmt"

	"vmhuge/internal/pages"
)

// wrongDevice refuses what libvirt refuses of memory devices when a domain is defined:
// virDomainMemoryDefValidate() of src/conf/domain_validate.c,
// qemuDomainDefValidateMemoryHotplug() of src/qemu/qemu_domain.c and
// virDomainDefPostParseMemory() of src/conf/domain_postparse.c.
func wrongDevice(dom *domain) error {
	total, dimms := int64(0), uint(0)
	add := func(value uint64, unit string) (size int64, err error) {
		size, err = kib(value, unit)
		total = min(total+size, most)
		return size, err
	}
	for i, m := range dom.Memorydevs {
		if m.Target == nil || m.Target.Size == nil {
			continue // Demand says so
		}
		size, err := add(uint64(m.Target.Size.Value), m.Target.Size.Unit)
		if err != nil {
			return err
		}
		if m.Model == "virtio-mem" {
			if err := wrongVirtioMem(dom, i, size); err != nil {
				return err
			}
			continue
		}
		if m.Model != "dimm" && m.Model != "nvdimm" {
			continue
		}
		dimms++
		switch {
		case dom.MaximumMemory == nil:
			return refusal(dom, maxMemory, "add <maxMemory slots='16'> with as much as the guest may ever have", "its device %d of model '%s' needs a <maxMemory>", i, m.Model)
		case m.Target.Node == nil && len(dom.Cells) > 0:
			return refusal(dom, hotplugNeedsCell, "add <node>0</node> to its <target>", "its device %d names no cell that it belongs to", i)
		}
	}
	top := dom.MaximumMemory
	if top == nil {
		return nil
	}
	if dimms > top.Slots {
		return refusal(dom, maxMemory, "raise the slots of <maxMemory>", "its %d DIMMs need a slot each, and <maxMemory> has %d", dimms, top.Slots)
	}
	if len(dom.Cells) == 0 && dom.Memory != nil { // it counts the devices as well
		total = 0
		if _, err := add(uint64(dom.Memory.Value), dom.Memory.Unit); err != nil {
			return err
		}
	}
	for _, c := range dom.Cells {
		if _, err := add(uint64(c.Memory), c.Unit); err != nil {
			return err
		}
	}
	highest, err := kib(uint64(top.Value), top.Unit)
	if err == nil && highest < total {
		return refusal(dom, maxMemory, "raise <maxMemory>", "its <maxMemory> of %s is less than the %s of its memory", pages.FormatKiB(highest), pages.FormatKiB(total))
	}
	return err
}

// wrongVirtioMem is about the sizes of one device, which is of so many KiB.
func wrongVirtioMem(dom *domain, i int, size int64) error {
	block, requested := dom.Memorydevs[i].Target.Block, dom.Memorydevs[i].Target.Requested
	if block == nil {
		return nil // libvirt takes the size of a transparent huge page
	}
	blocks, err := kib(uint64(block.Value), block.Unit)
	switch {
	case err != nil:
		return err
	case blocks&(blocks-1) != 0:
		return refusal(dom, noCause, fmt.Sprintf("take %s, or the page", pages.Usual(dom.hostArch(), nil)), "the <block> of its device %d is %s, which is not a power of two", i, pages.FormatKiB(blocks))
	case requested == nil || blocks == 0:
		return nil
	}
	asked, err := kib(uint64(requested.Value), requested.Unit)
	switch {
	case err != nil:
		return err
	case asked > size:
		return refusal(dom, noCause, "lower it", "the <requested> of its device %d is %s, and its size %s", i, pages.FormatKiB(asked), pages.FormatKiB(size))
	case asked%blocks != 0:
		return refusal(dom, deviceUnaligned, "take a multiple", "the <requested> of its device %d, %s, is not a multiple of its <block> of %s", i, pages.FormatKiB(asked), pages.FormatKiB(blocks))
	}
	return nil
}
