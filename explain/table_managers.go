package explain

import (
	"slices"

	"vmhuge/internal/advice"
)

// managers is what programs other than libvirt say that start guests, choose hosts for
// them, or use huge pages themselves.
func managers() []Row {
	return []Row{{
		ID: "proxmox-short", Says: slices.Concat([]string{"hugepage allocation failed at …Memory.pm", "start failed: hugepage allocation failed"}, noMemory, []string{noMemoryOld, badAddress}),
		On:    []Place{Proxmox},
		Cause: "Proxmox VE allocates a guest's huge pages itself at each start, and the kernel found too little free memory in one piece, on one of the nodes that the guest uses",
		Check: "pool", Do: "sysctl vm.drop_caches=3 vm.compact_memory=1 and start it again; or pages of 2 MiB in place of 1 GiB: qm set VMID --hugepages 2; or reserve them at boot, with hugepages= on the kernel's command line and qm set VMID --keephugepages 1",
		Kind: advice.NoMemory,
	}, {
		ID: "proxmox-node", Says: []string{"cannot bind memory to host NUMA nodes: Invalid argument"}, On: []Place{Proxmox},
		Cause: "the guest's memory is bound to a node of the host that has no memory, or that is not there: hostnodes= in its numa options",
		Do:    "numactl -H shows each node's memory, qm config VMID the options numa0, numa1 and so on: name nodes with memory in their hostnodes=",
	}, {
		ID: "proxmox-mount", Says: []string{"can't open backing store PATH for guest RAM: No such file or directory"}, On: []Place{Proxmox},
		Cause: "the hugetlbfs of this page size is not mounted: Proxmox VE mounts it itself before it starts a guest with the option hugepages",
		Do:    "findmnt -t hugetlbfs shows the mounts; start the guest with qm start VMID, not by the command line that qm showcmd prints",
	}, {
		ID: "proxmox-size", Says: []string{"your system doesn't support hugepages"},
		Cause: "the kernel has no pages of the size that the guest's hugepages option names in Proxmox VE; 1024 needs a processor with pdpe1gb, and in a guest the CPU type host",
		Do:    "qm set VMID --hugepages 2; ls /sys/kernel/mm/hugepages shows the sizes that exist",
	}, {
		ID: "proxmox-sockets", Says: []string{"host NUMA node… doesn't exist"},
		Cause: "with the option hugepages Proxmox VE puts each socket of a guest on the host's NUMA node of the same number, and the host has fewer nodes than the guest has sockets, or hostnodes= in a numa option names one that is not there",
		Do:    "qm set VMID --sockets 1 --cores with all its cores; or place each node of the guest by hand: qm set VMID --numa0 cpus=0-3,hostnodes=0,memory=8192,policy=bind",
	}, {
		ID: "proxmox-numa", Says: []string{"numa needs to be enabled to use hugepages"},
		Cause: "in Proxmox VE a guest's option hugepages needs its option numa, by which its memory is placed on the host's nodes",
		Do:    "qm set VMID --numa 1",
	}, {
		ID: "proxmox-multiple", Says: []string{"is not a multiple of the requested hugepages size", "hugepages, but requested size …is not a multiple of"},
		Cause: "the guest's memory is not a multiple of the pages that its hugepages option names in Proxmox VE, in MiB",
		Do:    "qm set VMID --memory with a multiple of 2, or of 1024 for pages of 1 GiB",
	}, {
		ID: "nova-page-size", Says: []string{"MemoryPageSizeNotSupported", "MemoryPageSizeForbidden", "MemoryPageSizeInvalid"},
		Cause: "the flavor or image asks OpenStack for pages (hw:mem_page_size, in KiB) of which this compute host has no pool, or that the flavor forbids",
		Check: "pool", Do: "on the compute host vmhuge prepare --persist --pages N --size SIZE, and restart nova-compute, which reads the pools at its start; or openstack flavor set --property hw:mem_page_size=large FLAVOR",
	}, {
		ID: "nova-no-host", Says: []string{"Filter NUMATopologyFilter returned 0 hosts"},
		Cause: "OpenStack found no compute host where one NUMA node has both the processors and the free huge pages that the flavor asks for",
		Check: "pool", Do: "vmhuge status on the compute hosts shows what is free on each node; hw:numa_nodes=2 in the flavor spreads a guest over two",
		Kind: advice.NoMemory,
	}, {
		ID: "ovirt-no-host", Says: []string{"did not satisfy internal filter HugePages"},
		Cause: "the host has fewer free huge pages of the size that the VM's property hugepages names (in KiB) than the VM needs",
		Check: "pool", Do: "on the host vmhuge status shows what is free; vmhuge prepare --persist --pages N --size SIZE; or another size in the VM's custom property hugepages",
		Kind: advice.NoMemory,
	}, {
		ID: "kubernetes-short", Says: []string{"Insufficient hugepages-", "hugepages are not pre-allocated"},
		Cause: "no node of the cluster has that many huge pages left for a pod: the pool is too small, or the kubelet, which reads the pools at its start, does not know it",
		Check: "pool", Do: "kubectl get node -o custom-columns=N:.metadata.name,H:.status.allocatable shows what each has; on the node vmhuge prepare --persist --pages N --size SIZE, then systemctl restart kubelet",
		Kind: advice.NoMemory,
	}, {
		ID: "kubernetes-request", Says: []string{"HugePages require cpu or memory", "must be equal to hugepages-… limit"},
		Cause: "Kubernetes takes a pod with huge pages only if it names cpu or memory as well, and if its requests for huge pages equal its limits",
		Do:    "resources: limits: {hugepages-2Mi: 1Gi, memory: 256Mi} in the container, and no other requests for hugepages-2Mi",
	}, {
		ID: "container-hugetlb", Says: []string{"the requested cgroup controller 'hugetlb' is not available"},
		Cause: "Podman or crun is asked to limit a container's huge pages, and its cgroup has no controller hugetlb: the kernel lacks CONFIG_CGROUP_HUGETLB, or systemd manages the cgroup, which does not pass that controller on",
		Do:    "leave the limit out; cat /sys/fs/cgroup/cgroup.controllers shows whether the kernel has it, and as root podman --cgroup-manager cgroupfs sets it without systemd",
	}, {
		ID: "firecracker-short", Says: []string{"Cannot create mmap region: Out of memory (os error 12)", "Cannot create mmap region: Cannot allocate memory (os error 12)"},
		Cause: "if it is Firecracker, with \"huge_pages\": \"2M\" in its machine-config: too few huge pages are free for the microVM; without, mem_size_mib is more than the host commits",
		Check: "pool", Do: "vmhuge prepare --pages N --size 2M, with mem_size_mib in pages, --persist too; --for NAME keeps them from guests",
		Kind: advice.NoMemory,
	}, {
		ID: "firecracker-memory", Says: []string{"The memory size (MiB) is either 0, or not a multiple of the configured page size", "Firecracker's huge pages support is incompatible with"},
		Cause: "Firecracker's huge_pages: 2M needs a mem_size_mib that is even, and cannot be combined with a balloon (nor in some versions with an initrd)",
		Do:    "correct the machine-config, or leave huge_pages out of it",
	}, {
		ID: "crosvm-short", Says: []string{"crosvm has exited with error: …(os error 12)", "crosvm has exited with error: …guest memory…: …emory"},
		Cause: "crosvm does not get memory for its guest. It takes ordinary memory, with --hugepages as transparent huge pages: no pool is involved, but what the pools hold is not available to it",
		Do:    "free -m, and vmhuge status for what the pools hold; a smaller --mem",
		Kind:  advice.NoMemory,
	}, {
		ID: "cloud-hypervisor-shared", Says: []string{"VhostUserMemoryRegion(NoMemoryRegion)"},
		Cause: "a vhost-user device (virtiofs too) of cloud-hypervisor reads the guest's memory from another process, and the memory is not shared",
		Do:    "--memory size=…,shared=on; hugepages=on shares it too",
	}, {
		ID: "cloud-hypervisor-short", Says: []string{"Bus error …cloud-hypervisor", "MemoryManager(GuestMemoryRegion(Mmap(Os {…code: 12", "VmBoot(KernelLoad(…ReadKernelImage", "Error booting VM: …KernelLoad(…ReadKernelImage"},
		Cause: "if cloud-hypervisor runs with hugepages=on: too few huge pages are free. Some versions map the guest's memory without asking for the pages first, and have none to load the kernel into",
		Check: "pool", Do: "vmhuge prepare --pages N --size 2M, with the guest's memory in pages, and --memory …,prefault=on, which finds out at the start",
		Kind: advice.NoMemory,
	}}
}
