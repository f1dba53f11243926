package xml

import "vmhuge/internal/advice"

// The rows of the table in package explain for what libvirt or QEMU refuses in
// the XML itself.
const (
	noCause            advice.Cause = ""
	hugepagesNode      advice.Cause = "hugepages-node"
	hugepagesAmbiguous advice.Cause = "hugepages-ambiguous"
	hugepagesSource    advice.Cause = "hugepages-source"
	cellIDs            advice.Cause = "cell-ids"
	cellMissing        advice.Cause = "cell-missing"
	memoryMissing      advice.Cause = "memory-missing"
	smallerThanPage    advice.Cause = "smaller-than-page"
	unaligned          advice.Cause = "unaligned"
	virtioMemBlock     advice.Cause = "virtio-mem-block"
	pageSizeMissing    advice.Cause = "page-size-missing"
	dimmWithoutACPI    advice.Cause = "dimm-without-acpi"
	protectedGuest     advice.Cause = "protected-guest"
	maxMemory          advice.Cause = "max-memory"
	hotplugNeedsCell   advice.Cause = "hotplug-needs-cell"
	deviceUnaligned    advice.Cause = "device-unaligned"
)
