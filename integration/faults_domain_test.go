package integration

import (
	"strings"

	"vmhuge/hostprep"
)

const (
	mib65   = "<memory unit='MiB'>65</memory>"
	of1G    = "<source><pagesize unit='GiB'>1</pagesize></source>"
	strict0 = "<numatune><memory mode='strict' nodeset='0'/></numatune>"
)

// memfd is a guest of 32 pages on a memfd, with more XML.
func memfd(also string) guest {
	return guest{backing: pages2M + "<source type='memfd'/>", more: also}
}

// toQEMU is the XML by which libvirt passes arguments to QEMU unchanged.
func toQEMU(args ...string) string {
	return "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='" + strings.Join(args, "'/><qemu:arg value='") + "'/></qemu:commandline>"
}

// of is a guest with so much memory instead.
func (g guest) of(memory string) guest {
	g.memory = memory
	return g
}

var withoutACPI = guest{memory: hotplug, backing: pages2M, more: cell64, devices: dimmOf("", 64), noACPI: true}

// domainFaults are of a domain's XML, on a host that is well.
var domainFaults = []fault{
	// Memory that does not fill its last page.
	{name: "unaligned-file-one-short", unfilled: true, guest: more("").of(mib65), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "unaligned-file", unfilled: true, guest: more("").of(mib65), pages: 33, verdict: hostprep.Ready},
	{name: "unaligned-restrictive", unfilled: true, guest: more("<numatune><memory mode='restrictive' nodeset='0'/></numatune>").of(mib65), pages: 33, verdict: hostprep.Ready},
	{name: "unaligned-memfd", guest: memfd("").of(mib65), pages: 33, verdict: hostprep.BadDomain, says: "failed to resize memfd", cause: "unaligned"},
	{name: "unaligned-bound", unfilled: true, guest: more(strict0).of(mib65), pages: 33, verdict: hostprep.BadDomain, says: "cannot bind memory to host NUMA nodes", cause: "unaligned"},
	{name: "unaligned-dimm", of1G: true, unfilled: true, setup: free1G(2), guest: device(pages2M, dimmOf(of1G, 1536)), verdict: hostprep.BadDomain, says: "backend memory size must be multiple of", cause: "unaligned"},
	{name: "virtio-mem-block", of1G: true, setup: free1G(1), guest: device(pages2M, "<memory model='virtio-mem'>"+of1G+"<target><size unit='GiB'>1</size><node>0</node><block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>"),
		verdict: hostprep.BadDomain, says: "'block-size' property has to be at least the page size", cause: "virtio-mem-block"},

	// Sizes of pages.
	{name: "smaller-than-page", of1G: true, guest: backing(pages1G), verdict: hostprep.BadDomain, says: tooSmall, cause: "smaller-than-page"},
	{name: "page-size-missing", guest: backing("<hugepages><page size='4096'/></hugepages>"), verdict: hostprep.BadHost, says: noSize, cause: "page-size-missing"},
	{name: "page-size-missing-memfd", guest: backing("<hugepages><page size='4096'/></hugepages><source type='memfd'/>"), verdict: hostprep.BadHost, says: "No such device", cause: "page-size-missing"},
	{name: "page-size-impossible", guest: backing("<hugepages><page size='3072'/></hugepages>"), verdict: hostprep.BadDomain, says: noSize, cause: "page-size-missing"},
	{name: "page-size-impossible-memfd", guest: backing("<hugepages><page size='3072'/></hugepages><source type='memfd'/>"), verdict: hostprep.BadDomain, says: "must be a power of 2", cause: "page-size-missing"},
	{name: "no-huge-pages", guest: backing("<nosharepages/>"), pages: -1, verdict: hostprep.Ready, small: true},

	// Memory that is on no huge pages, though it may seem so.
	{name: "hugepages-misplaced", guest: guest{backing: "<nosharepages/>", more: "<hugepages/>"}, pages: -1, verdict: hostprep.Ready, small: true},

	// What QEMU is told past libvirt.
	{name: "commandline-mem-path", guest: guest{backing: "<nosharepages/>", more: toQEMU("-mem-path", mount2M)}, pages: -1, verdict: hostprep.Unknown, says: "'-mem-path' can't be used together", cause: "backend-contradicts"},
	{name: "commandline-object", guest: more(toQEMU("-object", "memory-backend-memfd,id=more,hugetlb=on,prealloc=on,size=64M")), verdict: hostprep.Unknown, says: unmapped, cause: "pool-short", unseen: true},
	{name: "commandline-object-small", guest: more(toQEMU("-object", "memory-backend-ram,id=more,size=64M")), verdict: hostprep.Ready}, // on ordinary pages
	{name: "commandline-of-other-things", guest: more(toQEMU("-name", "other")), verdict: hostprep.Ready},

	// Nodes and devices that are not there.
	{name: "node-missing", guest: more("<numatune><memory mode='strict' nodeset='3'/></numatune>"), verdict: hostprep.BadDomain, says: "NUMA node 3 is ", cause: "node-missing"},
	{name: "memnode-missing", guest: more(cell64 + "<numatune><memnode cellid='0' mode='strict' nodeset='5'/></numatune>"), verdict: hostprep.BadDomain, says: "NUMA node 5 is unavailable", cause: "node-missing"},
	{name: "node-missing-preferred", guest: more("<numatune><memory mode='preferred' nodeset='3'/></numatune>"), verdict: hostprep.BadDomain, says: "NUMA node 3 is ", cause: "node-missing"},
	{name: "numad-missing", guest: more("<vcpu placement='auto'>1</vcpu>"), verdict: hostprep.BadHost, says: "Failed to query numad", cause: "numad-missing"},
	{name: "dimm-without-acpi", guest: withoutACPI, pages: 64, verdict: hostprep.BadDomain, says: "memory hotplug is not enabled", cause: "dimm-without-acpi"},

	// Definitions that libvirt refuses.
	{name: "hugepages-node", undefined: true, guest: guest{backing: "<hugepages><page size='2048' nodeset='1'/></hugepages>", more: cell64}, says: "hugepages: node 1 not found", cause: "hugepages-node"},
	{name: "hugepages-two", undefined: true, guest: backing("<hugepages><page size='2048'/><page size='1048576'/></hugepages>"), says: "two master hugepages detected", cause: "hugepages-ambiguous"},
	{name: "hugepages-intersect", undefined: true, guest: guest{backing: "<hugepages><page size='2048' nodeset='0-1'/><page size='1048576' nodeset='1'/></hugepages>", more: cells32x2}, says: "intersect", cause: "hugepages-ambiguous"},
	{name: "hugepages-zero", undefined: true, guest: backing("<hugepages><page size='0'/></hugepages>"), says: "hugepage size can't be zero", cause: "hugepages-ambiguous"},
	{name: "hugepages-anonymous", undefined: true, guest: backing(pages2M + "<source type='anonymous'/>"), says: "anonymous memory source", cause: "hugepages-source"},
	{name: "hugepages-ondemand", undefined: true, guest: backing(pages2M + "<allocation mode='ondemand'/>"), says: "memory allocation ondemand", cause: "hugepages-source"},

	// Guests that run, or are saved. A saved state starts as it was saved.
	{name: "running", before: startPaused, verdict: hostprep.Running, says: "already running"},
	{name: "running-transient", before: transient, verdict: hostprep.Running, says: "already running"},
	{name: "saved-on-huge-pages", before: saved(pages2M), verdict: hostprep.Ready},
	{name: "saved-on-huge-pages-one-short", before: savedShort(pages2M), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "saved-before-enable", before: saved("<nosharepages/>"), verdict: hostprep.Ready, small: true},
	{name: "saved-before-disable", guest: backing("<nosharepages/>"), before: savedShort(pages2M), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
}
