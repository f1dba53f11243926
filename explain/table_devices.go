package explain

import (
	"slices"
	"strings"

	"vmhuge/internal/advice"
)

// saysQEMU has words that other programs have as well with QEMU's name before them.
func saysQEMU(words ...string) (all []string) {
	for _, said := range words {
		all = append(all, "qemu-system-…: …"+said, "qemu-kvm: …"+said, "kvm: …"+said)
	}
	return all
}

// memfd is what QEMU says of a memfd that it does not get.
func memfd(reason string) []string {
	const old = "failed to create memfd: "
	return append(saysQEMU(old+reason), "failed to create memfd with flags …: "+reason, "memory-backend-memfd…: "+old+reason)
}

// devices is what passed-through, vhost-user and other devices want of the guest's
// memory.
func devices() []Row {
	// vfio_dma_map, since 10.0 vfio_container_dma_map: how QEMU writes the call and its result.
	// Some programs take the blanks out.
	mapped := func(result string) []string {
		return []string{"vfio_…dma_map(0x…, 0x…, 0x…, …) = " + result, "vfio_…dma_map(0x…,0x…,0x…,…)=" + strings.Replace(result, " ", "", 1)}
	}
	// What QEMU says of a device that can't have the guest's memory, by the kernel's reason.
	locked := slices.Concat(mapped("-12 (Cannot allocate memory)"), saysQEMU("failed to write, fd=…, errno=12"), []string{
		"VFIO_MAP_DMA failed: Cannot allocate memory", "RLIMIT_MEMLOCK (…) exceeded", "IOMMU_IOAS_MAP failed: Cannot allocate memory", "VFIO_MAP_DMA: -12",
	})
	unpinned := slices.Concat(mapped("-14 (Bad address)"), saysQEMU("failed to write, fd=…, errno=14"), []string{"VFIO_MAP_DMA failed: Bad address", "IOMMU_IOAS_MAP failed: Bad address"})
	entries := append(mapped("-28 (No space left on device)"), "VFIO_MAP_DMA failed: No space left on device", "vfio_dma_map…No space left on device", "possibly running out of DMA mappings")
	beyond := slices.Concat(mapped("-22 (Invalid argument)"), saysQEMU("failed to write, fd=…, errno=22"), []string{"VFIO_MAP_DMA failed: Invalid argument", "IOMMU_IOAS_MAP failed: Invalid argument"})
	refused := []string{
		"vhost_set_mem_table failed: Input/output error", "vhost_set_mem_table failed: Invalid argument", "vhost_set_mem_table failed: Broken pipe",
		"vhost_set_mem_table failed: Connection reset by peer", "vhost_set_mem_table failed: Protocol error",
	}
	const opening = "can't open backing store PATH for guest RAM: "
	const bars = "peer-to-peer transactions on BARs are not supported"
	return []Row{{
		ID: "vfio-bar", Says: []string{bars, "IOMMU_IOAS_MAP failed: …, PCI BAR?"},
		Cause: "a warning: VFIO could not map the BAR of another device for this one, so that the two can't copy to each other directly; the guest's memory is mapped, and it runs",
		Do:    "nothing, unless two passed-through devices must copy to each other (GPUDirect)",
	}, {
		ID: "vfio-locked", Says: locked,
		Cause: "a passed-through device (VFIO, NVMe, vDPA) pins all memory of the guest, huge pages too, and QEMU's limit of locked memory (RLIMIT_MEMLOCK) is smaller. libvirt sets it for the devices in the XML, but a <hard_limit> takes the place of what it counts, it does not see devices in <qemu:commandline>, and before 8.7 it counted the memory only once. QEMU without libvirt, or in a container, has the limit of what starts it",
		Do:    "virsh edit DOMAIN: take <memtune><hard_limit> out; where libvirt does not count the devices itself, make it N times the guest's memory plus 1 GiB: N is 1 for each vDPA and NVMe device, and 1 for all VFIO devices (with an <iommu>, for each). qemu:///session takes no <hard_limit>: there a memlock of that size for the user, in /etc/security/limits.d; without libvirt ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit",
	}, {
		ID: "vfio-bad-address", Says: unpinned, Unless: []string{"PCI BAR?"}, UnlessAny: []string{bars},
		Cause: "VFIO, or vDPA, could not get a page of the guest's memory when it pinned it: too few free huge pages (of the node), or no memory at all; for a region that is not RAM another device's BAR, which is harmless",
		Check: "pool", Do: "vmhuge check DOMAIN says what is missing; vmhuge start DOMAIN allocates it",
	}, {
		ID: "vfio-entries", Says: entries,
		Cause: "VFIO has no entries left for mappings (65535 of a container): virtio-mem and balloons make many small ones",
		Do:    "modprobe vfio_iommu_type1 dma_entry_limit=…, or a larger <block> for virtio-mem",
	}, {
		ID: "vfio-guest-address", Says: beyond, UnlessAny: []string{bars},
		Cause: "the IOMMU, or a vDPA device, can't map a range of the guest's memory: its address is beyond what they reach, or taken (MSI, reserved regions); huge pages are not involved",
		Do:    "dmesg | grep -i -e iommu -e dmar; virsh edit DOMAIN: <maxphysaddr mode='emulate' bits='39'/> in <cpu>, or less memory",
	}, {
		ID: "dma-map", Says: []string{"vhost vdpa map fail!", "vhost-vdpa: DMA mapping failed, unable to continue", "vfio: DMA mapping failed, unable to continue"},
		UnlessAny: slices.Concat(locked, unpinned, entries, beyond),
		Cause:     "a passed-through device (VFIO, vDPA) could not have the guest's memory, and the text lacks the line before this one, which has the kernel's reason",
		Do:        "vmhuge explain --domain DOMAIN reads it in the domain's log: -12 is the limit of locked memory, -14 a page that was not to be had, -22 an address that the device does not reach, -28 too many mappings",
	}, {
		ID: "shared-memory", Says: []string{
			"'virtiofs' requires shared memory", "vhost… requires shared memory",
			"Failed initializing vhost-user memory map", "Waiting for daemon failed: HandleRequest(InvalidParam)", "support for virtio-gpu devices requires a memfd memory backend",
		},
		Cause: "virtiofs and vhost-user devices read the guest's memory from another process, so that it must be shared",
		Do:    "virsh edit DOMAIN: <access mode='shared'/> in <memoryBacking>, with <source type='memfd'/> or huge pages (plain QEMU: -object memory-backend-memfd,id=m0,share=on,size=… -machine memory-backend=m0)",
	}, {
		ID: "vhost-user-map", Says: []string{"VHOST_CONFIG: …mmap region … failed", "VHOST_CONFIG: …mmap failed", "mmap qemu guest failed", "Processing VHOST_USER_SET_MEM_TABLE failed", "VHOST_USER_SET_MEM_TABLE failed"},
		Cause: "the program behind a vhost-user device (Open vSwitch, DPDK, SPDK, VPP) can't map the guest's memory: it is private, its size is not a multiple of the huge page, or that program or its cgroup has reached a limit",
		Do:    "virsh edit DOMAIN: <access mode='shared'/> in <memoryBacking>; vmhuge enable --round DOMAIN; systemctl show -p LimitMEMLOCK,MemoryMax of that program's unit",
	}, {
		ID: "vhost-rounded", Says: []string{"vhost_region_add_section:Section rounded to", "vhost_region_add_section: Overlapping but not coherent sections", "vhost_region_add_section:Overlapping but not coherent sections"},
		Versions: "QEMU 2.12 to 4.2",
		Cause:    "this QEMU aligns memory on huge pages for the kernel's vhost, as only vhost-user needs it, and the guest's network stays dead",
		Do:       "a QEMU since 5.0; until then <driver name='qemu'/> in the <interface>, which leaves vhost out",
	}, {
		ID: "memory-slots", Says: []string{
			"vhost backend has no free memory slots left", "vhost backend has not enough free memory slots left",
			"vhost backend memory slots limit", "vhost_set_mem_table failed: Argument list too long", "vhost_set_mem_table failed¶", "vhost-user backend supports … memory slots",
			"Failed preparing vhost-user memory table msg",
		},
		Cause: "a vhost device takes only so many pieces of memory (8 in older backends, 64 in vhost's kernel module), and memory devices are a piece each",
		Do:    "fewer and larger memory devices, or virtio-mem in place of DIMMs; for the kernel's vhost: modprobe vhost max_mem_regions=509",
	}, {
		ID: "vhost-user-refused", Says: refused,
		Cause: "the program behind a vhost-user device refused the guest's memory, or died over it: it can't map private memory or a size that is not a multiple of the huge page, or takes fewer pieces of memory",
		Do:    "its own log says why (journalctl -u openvswitch, or that of DPDK, SPDK, VPP or virtiofsd); virsh edit DOMAIN: <access mode='shared'/> in <memoryBacking>",
	}, {
		ID: "kvm-slots", Says: []string{"hypervisor has no free memory slots left", "hypervisor has not enough free memory slots left"},
		Cause: "KVM itself takes only so many pieces of memory for a guest: 509 on x86 before Linux 5.12, 32764 since; each memory device is one, and so is each BAR of a passed-through device",
		Do:    "fewer and larger memory devices, or virtio-mem in place of DIMMs; or a newer kernel",
	}, {
		ID: "mlock-limit", Says: append(saysQEMU("mlock: Cannot allocate memory", "mlockall: Cannot allocate memory", "mlock: Operation not permitted", "mlockall: Operation not permitted", "locking memory failed"),
			"monitor: mlock…: Cannot allocate memory",
			"cannot set up guest memory '…': Resource temporarily unavailable", "unable to map backing store for guest RAM: Resource temporarily unavailable"),
		Cause: "QEMU is not allowed to lock as much memory as <locked/> (or -overcommit mem-lock=on) asks for; huge pages are never swapped out, with or without it",
		Check: "locked", Do: "virsh edit DOMAIN: take <locked/> out of <memoryBacking>; where it must stay, raise <memtune><hard_limit>",
	}, {
		ID: "mlock-virtio-mem", Says: []string{"Incompatible with mlock"},
		Cause: "virtio-mem returns memory to the host, and <locked/> forbids that",
		Do:    "virsh edit DOMAIN: take <locked/> out of <memoryBacking>",
	}, {
		ID: "discard-disabled", Says: []string{"Discarding RAM is disabled", "cannot set up private guest memory: discard currently blocked", "Cannot set discarding of RAM broken"},
		Cause: "a passed-through device pins the guest's memory, and virtio-mem or confidential memory would return it to the host",
		Do:    "virsh edit DOMAIN: DIMMs in place of virtio-mem, or no <hostdev> of this kind",
	}, {
		ID: "shmem-denied", Says: []string{`avc: denied {…comm="qemu…path="PATH" dev=`, `apparmor="DENIED" … profile="libvirt-…" name="PATH" pid=`, "SELinux is preventing …qemu… from … on the … PATH", opening + "Permission denied", opening + "Operation not permitted", "can't create backing store PATH for guest RAM: Permission denied", opening + "Read-only file system"},
		On: []Place{Device}, Unless: []string{"avc: denied {…permissive=1"},
		Cause: "the memory of a <shmem> device (ivshmem: Looking Glass, Scream), which is not the guest's RAM, is a file that QEMU's user cannot open: a user's program made it first, or AppArmor or SELinux denies it",
		Do:    "ls -lZ PATH: its group should be kvm, with rw: a line f PATH 0660 root kvm - in /etc/tmpfiles.d makes it so at boot; with the guest off, rm PATH, and the next start creates it again; SELinux: semanage fcontext -a -t svirt_tmpfs_t PATH && restorecon PATH; AppArmor: a line PATH rw, in /etc/apparmor.d/local/abstractions/libvirt-qemu",
	}, {
		ID: "shmem-short", Says: append([]string{opening + "No space left on device", badAddress}, noMemory...),
		On:    []Place{Device},
		Cause: "the memory of a <shmem> device (ivshmem), which is not the guest's RAM, does not fit into the tmpfs that holds it",
		Do:    "df -h /dev/shm; mount -o remount,size=… /dev/shm, or a smaller <size> in <shmem>: virsh edit DOMAIN",
		Kind:  advice.NoMemory,
	}, {
		ID: "shmem-client", Says: []string{"ivshmemOpenDev …Failed to open: PATH"}, On: []Place{Device, Looking},
		Cause: "Looking Glass's client, run by a user, can't open the memory that it shares with the guest: the guest does not run, or QEMU created the file for its own user only",
		Do:    "ls -l PATH while the guest runs: a line f PATH 0660 NAME kvm - in /etc/tmpfiles.d, with the name of that user, creates it for both at boot (for /dev/kvmfr0 a udev rule with that owner and group); QEMU's user must be in the group kvm",
	}, {
		ID: "bind-denied", Says: []string{"cannot bind memory to host NUMA nodes: Operation not permitted"},
		Cause: "the kernel refuses mbind: QEMU runs in a container whose seccomp filter forbids it without CAP_SYS_NICE",
		Do:    "run the container with CAP_SYS_NICE (docker run --cap-add SYS_NICE), or remove <numatune> and host-nodes",
	}, {
		ID: "bind-missing", Says: []string{"cannot bind memory to host NUMA nodes: Function not implemented", "NUMA node binding are not supported by this QEMU", "NUMA policies are not supported by this QEMU"},
		Cause: "the kernel, or a sandbox around QEMU, does not support NUMA policies",
		Do:    "virsh edit DOMAIN: take <numatune> out; a kernel with CONFIG_NUMA has it",
	}, {
		ID: "cpuset-busy", Says: []string{"Unable to write to 'PATH/cpuset.mems': Device or resource busy", "Unable to write to 'PATH/cpuset.mems': Permission denied", "Unable to write to 'PATH/cpuset.mems': Invalid argument"},
		Cause: "the kernel refuses the nodes for the guest's cgroup: a cgroup below or above it is limited to other nodes (cgroup v1), or the nodes have no memory",
		Do:    "virsh numatune --config --nodeset … DOMAIN, which takes effect at the next start; huge pages that are in use do not move anyway",
	}, {
		ID: "memfd-denied", Says: slices.Concat(memfd("Operation not permitted"), memfd("Permission denied")),
		Cause: "memfd_create is refused: by a seccomp filter around QEMU, as in a container, or by vm.memfd_noexec=2",
		Do:    "sysctl vm.memfd_noexec must be 0 or 1; or vmhuge enable --source file DOMAIN",
	}, {
		ID: "guest-memfd-denied", Says: []string{
			"error creating kvm guest memfd: Permission denied", "error creating kvm guest memfd : Permission denied", "error creating KVM guest_memfd: Permission denied",
		},
		Cause: "SELinux or AppArmor denies QEMU the private memory of a confidential guest (guest_memfd, for SEV-SNP or TDX), as a rule because its rules are older than the kernel. Huge pages are not involved",
		Do:    advice.Denials + ", shows what is denied; update selinux-policy (AppArmor: the profile of libvirt), else ausearch -m avc --raw | audit2allow -M vmhuge-local shows the rule to allow, and semodule -i vmhuge-local.pp adds it",
	}, {
		ID: "memfd-kernel", Says: slices.Concat(memfd("Invalid argument"), memfd("Function not implemented")),
		Cause: "this kernel has no memfd on huge pages (before 4.14), or none that can be sealed (before 4.16)",
		Do:    "vmhuge enable --source file DOMAIN",
	}, {
		ID: "balloon-large-pages", Says: []string{"Balloon used with backing page size > 4kiB, this may not be reliable"},
		Cause: "a warning: the balloon returns 4 KiB at a time, which frees no huge page until all of it has been returned; the guest runs",
		Do:    "nothing; or virsh edit DOMAIN: <memballoon model='none'/>, and virtio-mem to change its memory",
	}}
}
