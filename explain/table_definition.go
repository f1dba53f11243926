package explain

import "slices"

// definition is what is wrong with the domain's XML, for this host.
func definition() []Row {
	const queryNumad = "Failed to query numad for the advisory nodeset"
	// What libvirt names the memory of a memory device: mem and the device's alias.
	var ofDevice []string
	for _, alias := range []string{"dimm", "nvdimm", "virtiomem", "virtiopmem", "ua-"} {
		ofDevice = append(ofDevice, "backend 'mem"+alias+"…' memory size must be multiple of")
	}
	failingNumad := []string{"Child process (…numad", "cannot execute binary …numad: Permission denied", "numad…: msgget failed"}
	return []Row{{
		ID:    "hugepages-node",
		Says:  []string{"hugepages: node … not found"},
		Cause: "<page nodeset> names a guest NUMA node that the guest does not have",
		Check: "domain", Do: "virsh edit DOMAIN: name the guest's own nodes, or leave nodeset out",
	}, {
		ID: "hugepages-ambiguous",
		Says: []string{
			"two master hugepages detected", "nodeset attribute of hugepages of sizes … intersect", "hugepage size can't be zero",
		},
		Cause: "the <page> elements contradict each other",
		Check: "domain", Do: "virsh edit DOMAIN: one <page> without nodeset, and any further <page> for other nodes",
	}, {
		ID:    "hugepages-source",
		Says:  []string{"hugepages are not allowed with anonymous memory source", "hugepages are not allowed with memory allocation ondemand"},
		Cause: "<source type='anonymous'/> and <allocation mode='ondemand'/> cannot be combined with huge pages",
		Check: "domain", Do: "take <source type='anonymous'/> and <allocation mode='ondemand'/> out of <memoryBacking>: virsh edit DOMAIN, or in the file that you define it from",
	}, {
		ID:    "cell-ids",
		Says:  []string{"Exactly one 'cell' element per guest NUMA cell allowed"},
		Cause: "the ids of the guest's <cell> elements do not count from 0",
		Check: "domain", Do: "virsh edit DOMAIN: number the cells 0, 1, 2 …",
	}, {
		ID:    "cell-missing",
		Says:  []string{"can't add memory backend for guest node …", "can't add memory backend as guest has no NUMA nodes configured"},
		Cause: "a memory device names a guest NUMA node that the guest does not have",
		Check: "domain", Do: "virsh edit DOMAIN: correct <node> in the device's <target>",
	}, {
		ID:    "memory-missing",
		Says:  []string{"Memory size must be specified via <memory> or in the <numa> configuration", "Total size of memory devices exceeds the total memory size"},
		Cause: "the guest has no memory, or less than its memory devices",
		Check: "domain", Do: "virsh edit DOMAIN: raise <memory>, or that of its cells",
	}, {
		ID: "numad-missing", Says: []string{
			queryNumad, "numad is not available on this host", "Cannot find 'numad' in path", "cannot execute binary …numad: No such file or directory",
			"Advice from numad is needed in case of automatic numa placement",
		},
		UnlessAny: failingNumad,
		Cause:     "placement='auto' asks numad for nodes, and numad is not installed",
		Check:     "numad", Do: "INSTALL numad, or name the nodes in <numatune>: virsh edit DOMAIN",
	}, {
		ID: "numad-fails", Says: slices.Concat([]string{queryNumad}, failingNumad),
		Cause: "placement='auto' asks numad for nodes, and numad fails: it cannot be executed, the kernel gives it no message queue (kernel.msgmni), or there are no NUMA nodes in /sys",
		Check: "numad", Do: "numad -w 1:1024 as root says why; or name the nodes in <numatune>: virsh edit DOMAIN",
	}, {
		ID: "node-missing", Says: []string{"NUMA node … is unavailable", "NUMA node … is not available", "NUMA node … is out of range"},
		Cause: "<numatune> names a node that the host does not have",
		Check: "pool", Do: "virsh edit DOMAIN: correct the nodeset in <numatune>",
	}, {
		ID: "emulatorpin", Says: []string{"Setting CPU affinity failed: Invalid argument"},
		Versions: "QEMU since 7.2, with libvirt 9.0 and 9.1",
		Cause:    "<emulatorpin> keeps QEMU off the processors of a node that the guest's memory is bound to, where it preallocates",
		Check:    "emulatorpin", Do: "virsh edit DOMAIN: add a processor of each such node to <emulatorpin>",
	}, {
		ID: "apparmor-numa", Says: []string{"The nodes select no CPUs", `apparmor="DENIED" … profile="libvirt-…" name="/sys/devices/system/node/…/cpumap"`},
		Versions: "QEMU since 7.2 under the AppArmor rules of Debian 12; Debian 13 has the rule",
		Cause:    "AppArmor keeps QEMU from reading which processors a node has",
		Check:    "apparmor", Do: "vmhuge start DOMAIN adds the rule @{sys}/devices/system/node/*/cpumap r, to /etc/apparmor.d/local/abstractions/libvirt-qemu",
	}, {
		ID: "node-without-cpus", Says: []string{"The nodes select no CPUs"},
		Versions: "QEMU since 7.2, with libvirt since 9.0",
		Cause:    "the guest's memory is bound to a node that has memory, but no processors to preallocate it",
		Check:    "emulatorpin", Do: "virsh edit DOMAIN: add a node with processors to the nodeset in <numatune>",
	}, {
		ID: "smaller-than-page", Says: []string{"memory size … must be equal to or larger than page size"},
		Cause: "the guest, or one of its nodes, is smaller than one page; a <hugepages/> that names no size may mean 1 GiB",
		Check: "domain", Do: "vmhuge enable --size 2M DOMAIN, or raise its <memory> to at least one page",
		Small: "virsh edit DOMAIN: raise <memory>, and that of each of its cells and memory devices, to at least one page: it is on the smallest huge pages already (plain QEMU: -m); vmhuge enable --round DOMAIN does that",
	}, {
		ID: "virtio-mem-block", Says: []string{"'block-size' property has to be at least the page size", "'block-size' property has to be at least 0x", "block size too small, must be at least"},
		Cause: "the <block> of a virtio-mem device is smaller than a page, or than a transparent huge page of this host",
		Check: "domain", Do: "virsh edit DOMAIN: raise <block> to the page size, or to what the message names",
	}, {
		ID: "device-unaligned",
		Says: slices.Concat(ofDevice, []string{
			"backend memory size must be multiple of", "'memdev' property memdev size has to be multiples of",
			"'requested-size' property has to be multiples of", "'requested-size' has to be multiples of",
			"'block-size' property has to be a power of two", "memory device address must be aligned to blocksize",
			"block size must be a power of two", "requested size must be an integer multiple of block size",
		}),
		Cause: "the size of a memory device (DIMM, NVDIMM or virtio-mem) is not a multiple of the page, or of its <block>",
		Do:    "make the device's <size>, <requested> and <block> multiples of the page: in the file that is attached, or in the domain by virsh edit DOMAIN",
	}, {
		ID: "unaligned",
		Says: []string{
			"failed to resize memfd to …: Invalid argument",
			"backend '…' memory size must be multiple of", "backend memory size must be multiple of",
			"qemu_madvise: Invalid argument", "madvise doesn't support MADV_DONTDUMP",
			"unable to map backing store for guest RAM: Invalid argument", "unable to map backing store for hugepages: Invalid argument",
			"cannot bind memory to host NUMA nodes: Invalid argument", "Guest memory size is not a 2MB multiple",
		},
		Unless: slices.Concat(ofDevice, []string{"virtio-mem-pci", "virtio-mem-ccw", "add memory device"}),
		On:     huge, OfUnaligned: true,
		Versions: "every QEMU for memfd, memory devices and memory bound to nodes; since 9.1 for any memory; SPDK: Guest memory size",
		Cause:    "the memory is not a multiple of the page",
		Check:    "domain", Do: "vmhuge enable --round DOMAIN",
	}, {
		ID: "node-unfit", Says: []string{"cannot bind memory to host NUMA nodes: Invalid argument"}, On: ofLibvirt,
		Cause: "the guest's memory is bound to a node that has no memory, or that the cgroup around QEMU does not allow (cpuset.mems)",
		Do:    "numactl -H shows each node's memory, systemctl show -p EffectiveMemoryNodes machine.slice a limit; name nodes with memory in <numatune>: virsh edit DOMAIN (plain QEMU: host-nodes=)",
	}, {
		ID: "bindings-contradict", Says: []string{"cannot bind memory to host NUMA nodes: Invalid argument"}, On: ofLibvirt,
		Cause: "<memnode> binds to a node that <numatune><memory> does not allow",
		Check: "pool", Do: "virsh edit DOMAIN: make <memory> and <memnode> agree",
	}, {
		ID: "backend-missing", Says: []string{"Memory backend '…' not found"},
		Cause: "QEMU's -machine memory-backend= names an object that is not on its command line: <qemu:commandline> or a program between libvirt and QEMU changed it; or it is libvirt 7.0, without a hugetlbfs of the page size",
		Do:    "virsh domxml-to-native qemu-argv --domain=DOMAIN shows the line; take -machine, -m, -numa and -object out of <qemu:commandline>",
	}, {
		ID: "page-size-missing", Says: slices.Concat(memfd("No such device"), []string{
			"Unable to find any usable hugetlbfs mount for … KiB", "Memory backend '…' not found", "Hugepage size must be a power of 2",
		}),
		Cause: "the kernel has no pages of that size",
		Check: "page-size", Do: "vmhuge check lists the sizes that exist, and vmhuge enable --size SIZE DOMAIN takes one; on x86, 1 GiB needs a processor with pdpe1gb",
	}, {
		ID: "dimm-without-acpi", Says: []string{"memory hotplug is not enabled: missing acpi"},
		Cause: "memory devices need ACPI",
		Check: "domain", Do: "virsh edit DOMAIN: add <acpi/> to <features>",
	}, {
		ID: "preferred-nodes", Says: []string{"NUMA memory tuning in 'preferred' mode only supports single node"},
		Cause: "<numatune> prefers several nodes, and mode='preferred' takes one",
		Do:    "virsh edit DOMAIN: name one node, or mode='interleave' or 'strict' for several",
	}, {
		ID: "nodeset-live", Says: []string{
			"can't change nodeset for strict mode for running domain", "change of nodeset for running domain requires", "can't change numatune mode for running domain",
		},
		Cause: "the nodes that memory is bound to can't be changed while the guest runs: QEMU has bound it already, and huge pages do not move",
		Do:    "virsh numatune --mode MODE --nodeset NODES --config DOMAIN, which takes effect at the next cold start",
	}, {
		ID: "numa-machine", Says: []string{"NUMA is not supported by this machine-type", "machine doesn't support NUMA"},
		Cause: "the guest's machine type does not support NUMA nodes, and its XML has <numa>, or a memory device, which needs a node",
		Do:    "virsh edit DOMAIN: take <numa> out of <cpu>, or choose another machine (q35, virt, pseries)",
	}, {
		ID: "max-memory", Says: []string{
			"cannot use/hotplug a memory device when domain 'maxMemory' is not defined",
			"the configuration is not prepared for memory devices", "memory hotplug is not enabled for this domain",
			"would exceed domain's maxMemory config size", "memory device total size exceeds hotplug space",
			"not enough space, currently 0x… in use of total space for memory devices",
			"exceeds slots count", "no free memory device slot available",
			"maximum memory size must be", "maxMemory has to be specified when using memory devices", "maximum memory size (0x…) must be at least", "memory slots were specified but maximum memory size",
			"no slots where allocated, please specify",
		},
		Cause: "memory devices need room: <maxMemory slots='…'> that is larger than <memory>, with a free slot",
		Do:    "virsh edit DOMAIN: add or raise <maxMemory slots='16' unit='GiB'>…</maxMemory>; it takes effect at the next cold start",
	}, {
		ID: "max-memory-slots", Says: []string{"Specified number of memory slots … exceeds max supported", "unsupported number of memory slots", "unsupported amount of memory slots"},
		Cause: "<maxMemory> asks for more slots than the machine type has: 256 as a rule, 32 with pseries of an older QEMU",
		Do:    "virsh edit DOMAIN: lower <maxMemory slots='…'> to what the message names, or to what the guest needs, one for each memory device (plain QEMU: -m …,slots=)",
	}, {
		ID: "phys-bits", Says: []string{"Address space limit 0x… < 0x… phys-bits too low", "phys-bits too low (…)"},
		Versions: "QEMU since 7.1",
		Cause:    "the guest's memory with the room for memory devices (<maxMemory>), and for the PCI devices above it, is beyond the addresses that its processor has",
		Do:       "virsh edit DOMAIN: lower <maxMemory>, or give the guest the host's width: <maxphysaddr mode='passthrough'/> in <cpu>; huge pages are not involved",
	}, {
		ID: "hotplug-needs-cell", Says: []string{
			"At least one numa node has to be configured when enabling memory hotplug", "target NUMA node needs to be specified for memory device",
		},
		Cause: "memory devices belong to a guest NUMA node, and the guest has none, or the device names none",
		Do:    "virsh edit DOMAIN: <numa><cell id='0' cpus='0-N' memory='…'/></numa> in <cpu>, and <node>0</node> in the device's <target>",
	}, {
		ID: "qemu-too-old", Says: []string{
			"hugepages are not supported by QEMU binary", "hugepage backing not supported by '…'", "huge pages per NUMA node are not supported with this QEMU",
			"per-node memory binding is not supported with this QEMU", "this qemu doesn't support the memory-backend-",
			"memory hotplug isn't supported by this QEMU binary", "virtio-mem isn't supported by this QEMU binary",
		},
		Cause: "this QEMU, or what libvirt remembers of it, is too old for what the XML asks for",
		Do:    "qemu-system-x86_64 --version; after an upgrade of QEMU: systemctl restart DAEMON, which checks QEMU again",
	}, {
		ID: "memfd-without-hugetlb", Says: []string{
			"hugepages is not supported with memfd memory source", "Property 'memory-backend-memfd.hugetlb' not found", "Property 'memory-backend-memfd.hugetlbsize' not found",
			"invalid object type: memory-backend-memfd",
		},
		Versions: "libvirt: hugepages is not supported; QEMU: the others",
		Cause:    "QEMU gives no memfd on huge pages here: it tries one when it starts, and the kernel (before 4.14, or without huge pages) or a seccomp filter around QEMU, as in a container, refused it; or QEMU is older than 2.12",
		Do:       "vmhuge enable --source file DOMAIN, which needs no memfd",
	}, {
		ID: "shared-without-numa", Says: []string{"memory access mode '…' not supported without guest numa node", "virtiofs requires one or more NUMA nodes"},
		Versions: "libvirt before 5.0, and with QEMU before 5.0",
		Cause:    "<access> needs a guest NUMA node there",
		Do:       "virsh edit DOMAIN: <numa><cell id='0' cpus='0-N' memory='…' memAccess='shared'/></numa> in <cpu>",
	}, {
		ID: "ccw-page-size", Says: []string{"virtio-mem-ccw can't use different page size than the boot memory", "Memory device uses a bigger page size than initial memory"},
		Versions: "s390x",
		Cause:    "all memory of a guest on s390x must be on pages of one size, including that of memory devices",
		Do:       "virsh edit DOMAIN: take <pagesize> out of the device's <source>, or back the whole guest with such pages",
	}, {
		ID: "cmm-off", Says: []string{"CMM will not be enabled because it is not compatible with huge memory backings"},
		Versions: "s390x, as a warning",
		Cause:    "the guest on huge pages runs, without collaborative memory management",
		Do:       "nothing",
	}, {
		ID: "protected-guest", Says: []string{"Protected VMs can currently not be backed with huge pages"},
		Versions: "s390x (Secure Execution)",
		Cause:    "a guest of Secure Execution can't be on huge pages",
		Do:       "vmhuge disable DOMAIN",
	}, {
		ID: "backend-contradicts", Says: []string{
			"can't be used together with'-machine memory-backend'", "can't be used together with '-machine memory-backend'",
			"'-machine memory-backend' and '-numa memdev' properties", "must match size of explicitly specified 'memory-backend' property",
			"Machine memory size does not match the size of the memory backend", "memory backend … can't be used multiple times", "should equal RAM size",
		},
		Cause: "QEMU's command line names the guest's memory twice, or with two sizes",
		Check: "xml", Do: "plain QEMU: leave -mem-path, -mem-prealloc and the memory backend out, and vmhuge exec -- qemu-system-x86_64 … adds what fits; with libvirt take them out of <qemu:commandline>",
	}, {
		ID: "numa-mem", Says: []string{"-numa node,mem is not supported by this machine type"},
		Versions: "machine types since QEMU 5.1",
		Cause:    "the machine type takes the memory of the guest's NUMA nodes from memory backends alone, and the command line names it with mem=: libvirt is older than this QEMU, or <qemu:commandline> has -numa",
		Do:       "update libvirt, take -numa out of <qemu:commandline>, or choose an older machine type (pc-q35-5.0): virsh edit DOMAIN (plain QEMU: -object memory-backend-ram,id=m0,size=… -numa node,memdev=m0)",
	}, {
		ID: "mem-path-xen", Says: []string{"-mem-path not supported with Xen"},
		Cause: "QEMU runs for a guest of Xen, whose memory Xen allocates itself: it takes none from a hugetlbfs, and Xen alone chooses the size of its pages",
		Do:    "take -mem-path off QEMU's command line, or <hugepages/> out: virsh edit DOMAIN",
	}, {
		ID: "kvm-sync-mmu", Says: []string{"host lacks kvm mmu notifiers, -mem-path unsupported", "-mem-path is not supported with KVM without sync mmu"},
		Cause: "the kernel's KVM does not notice when the kernel moves a page of the guest (it lacks KVM_CAP_SYNC_MMU), so QEMU takes no memory from a path: the kernel is too old, or was built without CONFIG_MMU_NOTIFIER",
		Do:    "grep MMU_NOTIFIER /boot/config-$(uname -r) shows that; boot a kernel of the distribution, which has it",
	}, {
		ID: "hpt-pages", Says: []string{
			"kiB guest pages with … kiB host pages with this KVM implementation", "Hypervisor can't map guest RAM: Memory backend has bad page size",
			"This CPU requires a smaller page size than the system is using", "can't map guest RAM", "Huge page support disabled (n/a for main memory)",
		},
		Versions: "ppc64 (pseries)",
		Cause:    "the guest's hash page table wants larger pages than the host's memory has, or than part of it",
		Do:       "virsh edit DOMAIN: <features><hpt><maxpagesize unit='KiB'>64</maxpagesize></hpt></features>, or back all of the guest's memory with pages of 16 MiB (POWER8)",
	}, {
		ID: "hpt-io-pages", Says: []string{"KVM can't supply …kiB CI pages, which guest expects"},
		Versions: "ppc64 (pseries, machine types since 3.0)",
		Cause:    "the guest's hash page table has pages of 64 KiB for its devices, and the host's kernel has plain pages of 4 KiB; the pages that back the guest's memory are not involved",
		Do:       "virsh edit DOMAIN: <features><hpt><maxpagesize unit='KiB'>4</maxpagesize></hpt></features> (plain QEMU: -machine pseries,cap-hpt-max-page-size=4096), with which a guest needs the radix MMU (POWER9) or pages of 4 KiB; or a machine type before pseries-3.0; or a kernel of the host with pages of 64 KiB",
	}, {
		ID: "kvm-hpage", Check: "kvm-pages", Says: []string{
			"Memory backing with … pages was specified, but KVM does not support this memory backing", "Huge page backing is not supported",
			"This QEMU machine does not support huge page mappings", "A KVM host that supports nesting cannot back its KVM guests with huge pages",
		},
		Versions: "s390x",
		Cause:    "KVM on s390x backs guests with huge pages of 1 MiB only if its module is loaded with hpage=1, which before Linux 7.0 excludes nested=1; with other sizes never",
		Do:       "echo 'options kvm hpage=1 nested=0' > /etc/modprobe.d/kvm-hpage.conf (since Linux 7.0 nested=1 may stay), remove nested=1 where it is set, stop the guests and reload kvm; and vmhuge enable --size 1M DOMAIN",
	}}
}
