package explain

import (
	"slices"

	"vmhuge/internal/advice"
)

// What QEMU says of pages that it does not get, for memory of every kind.
var noMemory = []string{
	"unable to map backing store for guest RAM: Cannot allocate memory", "unable to map backing store for hugepages: Cannot allocate memory",
	"file_ram_alloc: can't mmap RAM pages: Cannot allocate memory", "alloc_mem_area: can't mmap hugetlbfs pages: Cannot allocate memory",
	// A line that is cut off before its reason, which is this one as a rule.
	"unable to map backing store for guest RAM¶", "unable to map backing store for hugepages¶", "file_ram_alloc: can't mmap RAM pages¶",
}

const (
	noMemoryOld = "Insufficient free host memory pages available to allocate guest RAM"
	badAddress  = "preallocating memory failed: Bad address"
)

// memory is what there are too few of: pages.
func memory() []Row {
	const hotplug = "unable to execute QEMU command 'object-add': "
	// Bound memory is preallocated after it was reserved, so that the pool had enough.
	bound := []string{"policy=bind: os_mem_prealloc:", `"policy":"bind"}: os_mem_prealloc:`}
	const allocates = "vmhuge exec -- qemu-system-x86_64 …, as root, allocates them and frees them at the end; or vmhuge prepare --pages N --size SIZE"
	const noMemoryVersions = "very old QEMU: for hugepages, can't mmap; 2.x to 6.x also: Insufficient free host memory pages"
	const badAddressVersions = "QEMU 6.2 to 7.1: os_mem_prealloc; since 7.2: qemu_prealloc_mem"
	return []Row{{
		ID: "hotplug-short", Says: []string{
			hotplug + "…unable to map backing store for guest RAM: Cannot allocate memory", hotplug + "…" + noMemoryOld, hotplug + "…" + badAddress,
		}, On: huge,
		Cause: "too few free huge pages for the memory device that was attached, or of the node that it is bound to; the guest runs on without it",
		Check: "pool", Do: "vmhuge status shows how many pages there are; vmhuge prepare --pages N, with as many more as the device has, and attach it again",
		Kind: advice.NoMemory,
	}, {
		ID: "pool-short", Says: slices.Concat(noMemory, []string{noMemoryOld}), On: huge, Versions: noMemoryVersions, Unless: append(bound, hotplug),
		Cause: "too few free huge pages; of those that are free, some may be reserved",
		Check: "pool", Do: "vmhuge start DOMAIN allocates them; vmhuge check DOMAIN says how many are missing", Own: allocates,
		Kind: advice.NoMemory,
	}, {
		ID: "node-short", Says: slices.Concat(noMemory, []string{noMemoryOld, badAddress}), On: huge, Unless: []string{hotplug}, Versions: noMemoryVersions + "; " + badAddressVersions,
		Cause: "too few free huge pages on the node that the guest is bound to; free pages on other nodes do not help",
		Check: "pool", Do: "vmhuge start DOMAIN allocates them there; vmhuge check DOMAIN names the node",
		Own:  "vmhuge prepare --pages N --size SIZE --node NODE, for the node that host-nodes= names; vmhuge status shows what each has free",
		Kind: advice.NoMemory,
	}, {
		ID: "mount-full", Says: noMemory, On: huge,
		Cause: "the hugetlbfs is mounted with size=, and full",
		Check: "mount", Do: "findmnt -t hugetlbfs -o TARGET,OPTIONS shows the mount with size= (vmhuge check names it): umount that, and mount it again without size=",
	}, {
		ID: "min-size", Says: noMemory, On: huge,
		Cause: "another hugetlbfs is mounted with min_size=, which reserves free pages for its own files",
		Check: "pool", Do: "umount the mount that findmnt -t hugetlbfs shows with min_size=, or let vmhuge start DOMAIN allocate more",
		Own:  "umount the mount that findmnt -t hugetlbfs shows with min_size=; or " + allocates,
		Kind: advice.NoMemory,
	}, {
		ID: "cgroup-reserved", Says: noMemory, On: huge,
		Cause: "a cgroup above the guest limits the huge pages that may be reserved (hugetlb.SIZE.rsvd.max)",
		Check: "cgroup", Do: "echo max > the hugetlb.2MB.rsvd.max that vmhuge check DOMAIN names",
		Own: "echo max > the hugetlb.2MB.rsvd.max of the cgroup that QEMU is started in, and of those above it (/proc/self/cgroup)",
	}, {
		ID: "cgroup-used", Says: []string{badAddress}, On: huge, Versions: badAddressVersions,
		Cause: "a cgroup above the guest limits the huge pages that may be in use (hugetlb.SIZE.max)",
		Check: "cgroup", Do: "echo max > the hugetlb.2MB.max that vmhuge check DOMAIN names",
		Own: "echo max > the hugetlb.2MB.max of the cgroup that QEMU is started in, and of those above it (/proc/self/cgroup)",
	}, {
		ID: "mem-path-fallback", Says: []string{"falling back to regular RAM allocation"},
		Versions: "QEMU before 5.0, with -mem-path and without -mem-prealloc",
		Cause:    "QEMU got no huge pages, and the guest runs on ordinary ones",
		Do:       "stop it, and allocate the pages first; with -mem-prealloc, or a newer QEMU, the start fails with an error instead", Own: allocates,
	}, {
		ID: "memory-limit", Says: []string{badAddress}, On: huge, Versions: badAddressVersions,
		Cause: "a memory limit of the guest or of a cgroup above it counts huge pages, as cgroup2 is mounted with memory_hugetlb_accounting (Linux 6.6), and leaves too little for the guest's RAM and QEMU",
		Check: "memory-cgroup", Do: "raise the limit that vmhuge check DOMAIN names: <memtune><hard_limit>, or memory.max of a slice",
		Own: "raise memory.max of the cgroup that QEMU is started in, or of those above it (/proc/self/cgroup)",
	}, {
		ID: "allocpages-short", Says: []string{"Unable to allocate … pages. Allocated only"},
		Cause: "the kernel found no more free memory in one piece, and virsh allocpages keeps what it got",
		Check: "pool", Do: "vmhuge start DOMAIN compacts memory on the way; --drop-caches helps if that is not enough",
		Kind: advice.NoMemory,
	}, {
		ID: "allocpages-size", Says: []string{"system pages pool can't be modified"},
		Cause: "virsh allocpages was asked for pages of the ordinary size, which have no pool",
		Do:    "vmhuge prepare --pages N --size 2M",
	}, {
		ID: "ram-short", Says: []string{
			"cannot set up guest memory '…': Cannot allocate memory", noMemory[0],
		}, On: []Place{Anonymous},
		Cause: "the host has too little ordinary memory for memory of the guest that is not on huge pages: it is larger than RAM and swap, or than vm.overcommit_memory=2 commits or ulimit -v allows, or a pool of huge pages holds the rest",
		Check: "memory", Do: "free -m, and vmhuge status for what the pools hold; lower the guest's memory (<memory>, -m), or vmhuge enable DOMAIN, which takes it from the pool",
		Kind: advice.NoMemory,
	}, {
		ID: "ram-node-short", Says: []string{badAddress, noMemoryOld}, On: []Place{Anonymous},
		Cause: "too little ordinary memory for memory of the guest that is not on huge pages: on the node that it is bound to, or in its cgroup (<hard_limit>, memory.max)",
		Check: "memory", Do: "numactl -H shows what each node has free, vmhuge status what the pools hold there; name more nodes in <numatune>, or raise <memtune><hard_limit>: virsh edit DOMAIN",
		Kind: advice.NoMemory,
	}, {
		ID: "sgx-short", Says: slices.Concat(noMemory[:1], []string{badAddress, noMemoryOld}), On: []Place{Enclave},
		Cause: "the enclave memory (EPC) of the processor is too small for the guest's <memory model='sgx-epc'>: the firmware sets how much there is, and all guests share it; it has nothing to do with huge pages",
		Do:    "virsh capabilities shows <sgx> with its sections; lower the device's <size>, or raise the EPC (PRMRR) in the firmware: virsh edit DOMAIN",
		Kind:  advice.NoMemory,
	}, {
		ID: "page-lost", Says: []string{
			"kvm run failed Bad address", "qemu-system-…: Bus error", "qemu-kvm…: Bus error", "Bus error …qemu-system", "Bus error …qemu-kvm",
			`type=ANOM_ABEND…comm="qemu-system-…" …sig=7`, `type=ANOM_ABEND…comm="qemu-kvm" …sig=7`, `type=ANOM_ABEND…comm="kvm" …sig=7`,
		},
		Cause: "QEMU could not get a page of the guest's memory when the guest touched it: a tmpfs such as /dev/shm filled up, huge pages were not preallocated and ran out, a cgroup limits them (hugetlb.SIZE.max), or the hardware lost one",
		Check: "pool", Do: "journalctl -k -g 'hugetlb|Memory failure|oom'; df -h /dev/shm; vmhuge check DOMAIN; <allocation mode='immediate'/> in <memoryBacking> makes the start fail instead",
		Kind: advice.NoMemory,
	}, {
		ID: "device-asleep", Says: []string{"kvm run failed Bad address"},
		Cause: "if a PCI device is passed through (<hostdev>): the guest touched the device's memory (a BAR) while it slept (D3), was reset, or had dropped off the bus; or the processor can't map that BAR for a guest, as on some ARM servers. Huge pages are not involved",
		Do:    "journalctl -k -g 'vfio|AER|pcieport' shows what the device did; options vfio-pci disable_idle_d3=1 in /etc/modprobe.d keeps an unused one awake; or start the guest once without <hostdev>",
	}, {
		ID: "kvm-memory", Says: []string{"kvm_init_vcpu failed: Cannot allocate memory", "ioctl(KVM_CREATE_VM) failed: 12 Cannot allocate memory", "kvm_init_vcpu: kvm_get_vcpu failed (…): Cannot allocate memory", "ioctl(KVM_CREATE_VM) failed: Cannot allocate memory", "failed to initialize kvm: Cannot allocate memory", "preallocating memory failed: Cannot allocate memory", "KVM_SET_USER_MEMORY_REGION failed, …: Cannot allocate memory"},
		Cause: "the kernel has too little ordinary memory, for KVM's tables, page tables or guest memory that is not on huge pages: there are enough huge pages, but their pools may take up the memory that is missing",
		Do:    "free -m, and vmhuge status for what the pools hold and nobody uses; vmhuge undo frees what vmhuge allocated, and --host-reserve SIZE leaves the host more",
		Kind:  advice.NoMemory,
	}, {
		ID: "fork-memory", Says: []string{"cannot fork child process: Cannot allocate memory", "cannot fork child process: Can't allocate the memory"},
		Cause: "libvirt's daemon could not start another program: the host has too little ordinary memory, or commits no more of it (vm.overcommit_memory=2), and the pools of huge pages take a part of it",
		Do:    "free -m; grep Commit /proc/meminfo; vmhuge status for what the pools hold and nobody uses; vmhuge undo frees what vmhuge allocated",
		Kind:  advice.NoMemory,
	}, {
		ID: "migration-page-size", Says: []string{"Mismatched RAM page size", "Post-copy: Host page size mismatch", "Postcopy needs matching RAM page sizes", "Postcopy needs matching target page sizes", "Userfault on this host does not support huge pages"},
		Cause: "postcopy migration needs pages of the same size on both hosts, and a kernel whose userfaultfd supports huge pages",
		Do:    "virsh migrate without --postcopy, or with --xml for pages that the other host has",
	}}
}
