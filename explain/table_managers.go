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
		Check: "pool", Do: "sysctl vm.drop_caches=3 vm.compact_memory=1 and start it again; or pages of 2 MiB in place of 1 GiB: qm set VMID --hugepages 2; or have them from boot on, with hugepages= on the kernel's command line and qm set VMID --keephugepages 1",
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
		Do:    "qm set VMID --hugepages 2; ls /sys/kernel/mm/hugepages shows the sizes that there are",
	}, {
		ID: "proxmox-numa", Says: []string{"numa needs to be enabled to use hugepages"},
		Cause: "in Proxmox VE a guest's option hugepages needs its option numa, by which its memory is laid on the host's nodes",
		Do:    "qm set VMID --numa 1",
	}, {
		ID: "proxmox-multiple", Says: []string{"is not a multiple of the requested hugepages size", "hugepages, but requested size …is not a multiple of"},
		Cause: "the guest's memory is no whole number of the pages that its hugepages option names in Proxmox VE, in MiB",
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
		ID: "java-short", Says: []string{"Failed to reserve and commit memory using large pages", "UseLargePages disabled, no large pages configured", "Failed to reserve large pages memory", "Failed to reserve shared memory…large pages"},
		Cause: "a Java program asks for huge pages from the pool that guests use too, and too few are free; it runs on without them, or ends",
		Check: "pool", Do: "vmhuge prepare --persist --pages N --size 2M, with what the program and the guests take together, and start it before them; or -XX:+UseTransparentHugePages, which needs no pool",
		Kind: advice.NoMemory,
	}, {
		ID: "cloud-hypervisor-short", Says: []string{"VmBoot(KernelLoad(…ReadKernelImage", "Error booting VM: …KernelLoad(…ReadKernelImage"},
		Cause: "if cloud-hypervisor runs with hugepages=on: it maps the guest's memory without asking for the pages first, and there was none to load the kernel into",
		Check: "pool", Do: "vmhuge prepare --pages N --size 2M, with the guest's memory in pages, and --memory …,prefault=on, which finds out at the start",
		Kind: advice.NoMemory,
	}, {
		ID: "postgresql-short", Says: []string{
			"could not map anonymous shared memory: Cannot allocate memory", "could not map anonymous shared memory: Out of memory", "mmap(…) with MAP_HUGETLB failed",
			"request for a shared memory segment exceeded available memory, swap space, or huge pages", "could not map anonymous shared memory¶",
		},
		Cause: "a PostgreSQL server does not get its shared memory (shared_buffers and more): with huge_pages = on it takes it from the pool that guests use too, and too few pages are free; with try or off from ordinary memory, of which the pool leaves too little",
		Check: "pool", Do: "postgres -D DATADIR -C shared_memory_size_in_huge_pages says how many (since 15, while it is stopped); vmhuge prepare --pages N --size 2M --for postgres, with --persist too, keeps them from guests; or lower shared_buffers in postgresql.conf",
		Kind: advice.NoMemory,
	}, {
		ID: "mysql-short", Says: []string{"HugeTLB: Warning: Failed to allocate … bytes. errno 12", "from HugeTLB memory. errno 12", "[InnoDB] Failed to allocate … bytes. errno 12"},
		Cause: "a MySQL or MariaDB server with large_pages (large-pages) takes its buffer pool from the pool that guests use too, and too few pages are free; it runs on without them",
		Check: "pool", Do: "vmhuge prepare --pages N --size 2M --for mysqld, with --persist too, keeps them from guests: N is innodb_buffer_pool_size in pages and some more; restart it then. memlock (LimitMEMLOCK=infinity in its unit) must allow as much",
		Kind: advice.NoMemory,
	}, {
		ID: "mysql-denied", Says: []string{
			"HugeTLB: Warning: Failed to allocate … bytes. errno 1¶", "from HugeTLB memory. errno 1¶", "[InnoDB] Failed to allocate … bytes. errno 1¶",
			"HugeTLB: Warning: Failed to allocate … bytes. errno 22", "from HugeTLB memory. errno 22", "[InnoDB] Failed to allocate … bytes. errno 22",
		},
		Cause: "a MySQL or MariaDB server with large_pages may not take huge pages: errno 1, its group is not vm.hugetlb_shm_group and it has no CAP_IPC_LOCK; errno 22, kernel.shmmax or kernel.shmall is smaller than its buffer pool",
		Do:    "vmhuge prepare --persist --shm-group mysql, and LimitMEMLOCK=infinity in its unit; sysctl kernel.shmmax kernel.shmall",
	}, {
		ID: "selinux-program", Says: []string{
			"avc: denied {…dev=\"hugetlbfs\"…scontext=…:openvswitch_t:", "avc: denied {…scontext=…:openvswitch_t:…tcontext=…:hugetlbfs_t:",
			"avc: denied {…dev=\"hugetlbfs\"…scontext=…:container_t:", "avc: denied {…scontext=…:container_t:…tcontext=…:hugetlbfs_t:",
		},
		Unless: []string{"avc: denied {…permissive=1", "avc: denied {…comm=\"qemu"},
		Cause:  "SELinux denies huge pages to a program beside the guests, such as Open vSwitch with DPDK or one in a container",
		Do:     "INSTALL openvswitch-selinux-extra-policy (RHEL) where it is Open vSwitch, or update selinux-policy; else ausearch -m avc --raw -o :hugetlbfs_t: | audit2allow -M vmhuge-local shows the rule to allow, and semodule -i vmhuge-local.pp adds it",
	}}
}
