package explain

import "vmhuge/internal/advice"

// programs is what programs that are no guests say of the huge pages that they take from the
// same pools.
func programs() []Row {
	javaDenied := []string{"Failed to reserve shared memory. (error = 1)", "Failed to reserve shared memory (errno = 1)"}
	// What says why DPDK has no memory, other than too few pages.
	otherwise := []string{"EAL: Can only reserve", "EAL: Couldn't get fd on hugepage file"}
	return []Row{{
		ID: "dpdk-mount", Says: []string{"hugepages of size … reserved, but no mounted hugetlbfs found"},
		Cause: "there are free huge pages of this size, and no hugetlbfs with it that a program with DPDK could put its files on. Of a size that it does not use, the message is harmless",
		Do:    "mkdir /mnt/huge && mount -t hugetlbfs -o pagesize=SIZE hugetlbfs /mnt/huge, and --huge-dir /mnt/huge (into a container it is passed); or --in-memory, which needs none",
	}, {
		ID: "dpdk-ports", Says: []string{"Cannot allocate ethdev shared data"},
		Cause: "a program with DPDK got no memory for its ports: too few huge pages are free of the size or on the node that it uses, files of an earlier run hold them, or it is a second process that does not find the memory of the first",
		Check: "pool", Do: "ls /dev/hugepages/rtemap_*, and remove what no program uses; vmhuge status shows what each node has free, vmhuge prepare --persist --pages N --size SIZE --for NAME allocates more, which --socket-mem and --file-prefix must agree with",
		Kind: advice.NoMemory,
	}, {
		ID: "dpdk-short", Says: []string{
			"EAL: No available … hugepages reported", "EAL: No available hugepages reported", "EAL: No free … hugepages reported", "EAL: No free hugepages reported",
			"EAL: Not enough memory available", "EAL: …mmap() failed: Cannot allocate memory", "EAL: attempted to allocate … segments, but only",
		},
		UnlessAny: otherwise,
		Cause:     "a program with DPDK, such as Open vSwitch, found no free huge pages of that size for itself; it takes them from the same pool as the guests. Of a size that it does not use, the message is harmless",
		Check:     "pool", Do: "vmhuge prepare --persist --pages N --size SIZE --for ovs-vswitchd, which keeps them from guests (with --node where --socket-mem names one); then start the program again. Files of an earlier run hold pages too: ls /dev/hugepages/rtemap_*",
		Kind: advice.NoMemory,
	}, {
		ID: "dpdk-start", Says: []string{"EAL: Cannot get hugepage information", "EAL: FATAL: Cannot get hugepage information", "EAL: FATAL: Cannot init memory", "EAL: Cannot init memory"},
		UnlessAny: append([]string{"reserved, but no mounted hugetlbfs found", "EAL: No free", "EAL: No available", "EAL: Not enough memory available", "EAL: …mmap() failed", "EAL: attempted to allocate"}, otherwise...),
		Cause:     "a program with DPDK, such as Open vSwitch, could not set up its memory: no huge pages of a size are free for it, or no hugetlbfs is mounted with them; the lines before this one say which",
		Check:     "pool", Do: "vmhuge status shows what is free; vmhuge prepare --persist --pages N --size SIZE --for ovs-vswitchd keeps pages from guests; findmnt -t hugetlbfs shows the mounts (--in-memory needs none)",
	}, {
		ID: "dpdk-scattered", Says: []string{"EAL: Can only reserve … pages from … requested"},
		Versions: "DPDK before 18.05",
		Cause:    "this DPDK counts pieces of memory that are in one piece physically, and has a limit for them (CONFIG_RTE_MAX_MEMSEG): the huge pages are there, but scattered",
		Do:       "pages of 1 GiB, or 2 MiB ones reserved at boot (vmhuge prepare --persist --pages N --size SIZE --for NAME), which are contiguous; or a newer DPDK, which has no such limit",
	}, {
		ID: "dpdk-denied", Says: []string{"EAL: …open 'PATH' failed: Permission denied", "EAL: Couldn't get fd on hugepage file"},
		Cause: "a program with DPDK can't create its files on the hugetlbfs: it was started by a user, and only root can write to the mount, or files of a run as root are left there",
		Do:    "vmhuge prepare --user NAME makes a folder there for that user: --huge-dir names it to the program; or --in-memory, which needs none; ls -l /dev/hugepages/rtemap_* shows files that are left: remove them while nothing uses them",
	}, {
		ID: "spdk-short", Says: []string{"requested … hugepages but only … could be allocated"},
		Cause: "SPDK's setup.sh asked the kernel for huge pages, and it found too little free memory in one piece; what it got stays in the pool",
		Check: "pool", Do: "vmhuge prepare --persist --pages N --size 2M --for spdk compacts memory now and reserves them at boot; NRHUGE=N setup.sh then finds them, and HUGE_EVEN_ALLOC=yes spreads them over the nodes",
		Kind: advice.NoMemory,
	}, {
		ID: "vpp-short", Says: []string{
			"falling back to non-hugepage backed buffer pool", "pmalloc_map_pages: failed to mmap … pages", "dpdk_config: not enough free huge pages",
		},
		Cause: "VPP takes the pages for its packet buffers from the pool that guests use too, on each NUMA node, and too few are free; a newer one runs on without them",
		Check: "pool", Do: "vmhuge prepare --persist --pages N --size 2M --for vpp, for each node with --node, keeps them from guests; or fewer buffers: buffers { buffers-per-numa … } in startup.conf",
		Kind: advice.NoMemory,
	}, {
		ID: "libhugetlbfs-short", Says: []string{
			"libhugetlbfs…: WARNING: New heap segment map at … failed: Cannot allocate memory", "libhugetlbfs…: WARNING: New heap segment mapping at … failed: Cannot allocate memory",
			"libhugetlbfs…: WARNING: While overriding shmget(…) to add SHM_HUGETLB: Cannot allocate memory", "libhugetlbfs…: WARNING: Failed to reserve …huge pages",
			"libhugetlbfs…: ERROR: …Cannot allocate memory",
		},
		Cause: "a program that libhugetlbfs is loaded into asks for huge pages from the pool that guests use too, and too few are free; it runs on without them",
		Check: "pool", Do: "vmhuge prepare --persist --pages N --size 2M --for NAME keeps them from guests; or leave libhugetlbfs out (LD_PRELOAD, HUGETLB_MORECORE)",
		Kind: advice.NoMemory,
	}, {
		ID: "libhugetlbfs-mount", Says: []string{"libhugetlbfs…: WARNING: Hugepage size … unavailable", "libhugetlbfs…: WARNING: Unable to find default kernel hugepage size"},
		Cause: "libhugetlbfs found no hugetlbfs with pages of this size that the program's user can write to, or the kernel has no such pages; the program runs on without them",
		Do:    "findmnt -t hugetlbfs -o TARGET,OPTIONS shows the mounts; vmhuge prepare --user NAME makes a folder for that user, which libhugetlbfs is told in its environment (man 7 libhugetlbfs)",
	}, {
		ID: "oracle-limit", Says: []string{"ORA-27102: out of memory Linux…Error: 28", "ORA-27102: out of memory Linux…Error: 22"},
		Cause: "the kernel's limits on shared memory are too small for an Oracle database's SGA: error 28, kernel.shmall (in pages of 4 KiB); error 22, kernel.shmmax (in bytes). Huge pages are not missing, and count in both",
		Do:    "sysctl kernel.shmall kernel.shmmax, and raise them in /etc/sysctl.d above the SGAs of all databases",
	}, {
		ID: "oracle-short", Says: []string{"ORA-27102: out of memory", "Failed to allocate SGA in Huge", "ORA-27125: unable to create shared memory segment …Error: 12"},
		UnlessAny: []string{"ORA-27102: out of memory Linux…Error: 28", "ORA-27102: out of memory Linux…Error: 22", "SVR4 Error", "IBM AIX", "HPUX", "OSD-"},
		Cause:     "an Oracle database does not get memory for its SGA: with use_large_pages=ONLY it takes all of it from the pool that guests use too, and too few pages are free, or its memlock is smaller; else ordinary memory is short, and the pool takes part of it",
		Check:     "pool", Do: "the alert log says how many pages it wants; vmhuge prepare --persist --pages N --size 2M --for oracle keeps them from guests; ulimit -l as the database's user must be as large (memlock in /etc/security/limits.d)",
		Kind: advice.NoMemory,
	}, {
		ID: "oracle-denied", Says: []string{"ORA-27125: unable to create shared memory segment"}, UnlessAny: []string{"ORA-27125: unable to create shared memory segment …Error: 12", "ORA-27125: unable to create shared memory segment …Error: 28"},
		Cause: "an Oracle database is not allowed to put its SGA on huge pages: its group is not vm.hugetlb_shm_group, or its memlock is smaller than the SGA",
		Do:    "vmhuge prepare --persist --shm-group dba, where dba is the group of the database's user (id oracle); and oracle soft memlock unlimited, oracle hard memlock unlimited in /etc/security/limits.d",
	}, {
		ID: "java-short", Says: []string{"Failed to reserve and commit memory using large pages", "UseLargePages disabled, no large pages configured", "Failed to reserve and commit memory with large pages", "Failed to reserve large pages memory", "64-Bit Server VM warning: Failed to reserve shared memory"},
		UnlessAny: javaDenied,
		Cause:     "a Java program asks for huge pages from the pool that guests use too, and too few are free; it runs on without them, or ends",
		Check:     "pool", Do: "vmhuge prepare --persist --pages N --size 2M --for java keeps them from guests, N for the heap (-Xmx), its code and more; or -XX:+UseTransparentHugePages, which needs no pool",
		Kind: advice.NoMemory,
	}, {
		ID: "java-denied", Says: javaDenied,
		Cause: "a Java program is not allowed to take huge pages as shared memory (-XX:+UseSHM): its group is not vm.hugetlb_shm_group, and it has no CAP_IPC_LOCK; it runs on without them",
		Do:    "vmhuge prepare --persist --shm-group GROUP; or -XX:-UseSHM, which takes them without, and -XX:+UseTransparentHugePages, which needs no pool",
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
		Cause: "a MySQL or MariaDB server with large_pages is not allowed to take huge pages: errno 1, its group is not vm.hugetlb_shm_group and it has no CAP_IPC_LOCK; errno 22, kernel.shmmax or kernel.shmall is smaller than its buffer pool",
		Do:    "vmhuge prepare --persist --shm-group mysql, and LimitMEMLOCK=infinity in its unit; sysctl kernel.shmmax kernel.shmall",
	}, {
		ID: "thp-warning", Says: []string{
			"you have Transparent Huge Pages (THP) support enabled in your kernel", "/sys/kernel/mm/transparent_hugepage/enabled is 'always'",
			"/sys/kernel/mm/transparent_hugepage/defrag is 'always'",
		},
		Cause: "a warning of a database (Redis, Valkey, MongoDB) about transparent huge pages where it runs, which may be in the guest: with always the kernel gives them to every program, and a database that forks copies 2 MiB in place of 4 KiB. Pages of the pools are not involved",
		Do:    "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled there, which still gives them to guests, as QEMU asks for them; never would take them away",
	}, {
		ID: "selinux-program", Says: []string{
			"avc: denied {…dev=\"hugetlbfs\"…scontext=…:openvswitch_t:", "avc: denied {…scontext=…:openvswitch_t:…tcontext=…:hugetlbfs_t:",
			"avc: denied {…dev=\"hugetlbfs\"…scontext=…:container_t:", "avc: denied {…scontext=…:container_t:…tcontext=…:hugetlbfs_t:",
		},
		Unless: []string{"avc: denied {…permissive=1", "avc: denied {…comm=\"qemu"},
		Cause:  "SELinux denies huge pages to a program that is not a guest, such as Open vSwitch with DPDK or one in a container",
		Do:     "INSTALL openvswitch-selinux-extra-policy (RHEL) where it is Open vSwitch, or update selinux-policy; else ausearch -m avc --raw -o :hugetlbfs_t: | audit2allow -M vmhuge-local shows the rule to allow, and semodule -i vmhuge-local.pp adds it",
	}}
}
