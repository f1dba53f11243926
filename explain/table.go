package explain

import "vmhuge/internal/advice"

// Rows is the table, root causes before what follows from them. Where rows have
// the same words, what is seen most often comes first.
func Rows() []Row {
	return append(append(append(connection(), definition()...), mounts()...), memory()...)
}

// connection is what keeps a start from getting as far as the guest's memory.
func connection() []Row {
	return []Row{{
		ID:    "no-permission",
		Says:  []string{"Failed to connect socket to …: Permission denied", "authentication unavailable: no polkit agent", "authentication failed: access denied by policy"},
		Codes: []int{94, 79, 45},
		Cause: "libvirt's socket is not for this user",
		Do:    "run as root, or join the group libvirt",
	}, {
		ID:    "libvirt-down",
		Says:  []string{"Failed to connect socket to …: No such file or directory", "Failed to connect socket to …: Connection refused"},
		Cause: "no libvirt daemon listens",
		Do:    "start libvirt: systemctl start libvirtd (or virtqemud.socket)",
	}, {
		ID:    "read-only-connection",
		Says:  []string{"operation forbidden: read only access prevents", "operation forbidden for read only access"},
		Codes: []int{29, 88},
		Cause: "the connection may only look",
		Do:    "run as root",
	}, {
		ID:    "no-domain",
		Says:  []string{"Domain not found: no domain with matching", "failed to get domain '"},
		Codes: []int{42},
		Cause: "there is no such domain",
		Do:    "virsh list --all names them",
	}, {
		ID: "hook-cannot-run",
		Says: []string{
			"Hook script execution failed: …unexpected exit status 126", "Hook script execution failed: …unexpected exit status 127",
			"Hook script execution failed: …Exec format error",
		},
		Cause: "a hook can't be run: it has no #! line, or names an interpreter that is not there; libvirt runs every file in qemu.d, editors' copies too",
		Do:    "ls -la /etc/libvirt/hooks/qemu.d, and move out what is no hook",
	}, {
		ID:    "hook-killed",
		Says:  []string{"Hook script execution failed: …unexpected fatal signal"},
		Cause: "a hook was killed",
		Do:    "journalctl -k tells if the kernel was short of memory; run vmhuge start DOMAIN again",
	}, {
		ID:    "hook-refused",
		Says:  []string{"Hook script execution failed: …unexpected exit status", "Hook script execution failed"},
		Codes: []int{70},
		Cause: "a hook in /etc/libvirt/hooks refused the start; the text after its exit status is its own",
		Check: "hook",
		Do:    "do what the hook says; vmhuge hook status tells about vmhuge's own",
	}, {
		ID: "kvm-missing",
		Says: []string{
			"Could not access KVM kernel module: No such file or directory", "Could not access KVM kernel module: No such device",
			"could not find capabilities for domaintype=kvm", "Domain requires KVM, but it is not available",
		},
		Cause: "there is no /dev/kvm",
		Check: "kvm",
		Do:    "switch on virtualization in the firmware, and modprobe kvm_intel (or kvm_amd)",
	}, {
		ID:    "kvm-permission",
		Says:  []string{"Could not access KVM kernel module: Permission denied", "failed to initialize kvm: Permission denied"},
		Cause: "QEMU's user may not open /dev/kvm",
		Check: "kvm",
		Do:    "adduser libvirt-qemu kvm && systemctl restart libvirtd",
	}, {
		ID: "locked-memory",
		Says: []string{
			"cannot limit locked memory of process …: Operation not permitted",
		},
		Cause: "<locked/> needs a limit that libvirtd may not raise (it lacks CAP_SYS_RESOURCE); huge pages are never swapped out, with or without it",
		Check: "locked",
		Do:    "take <locked/> out of <memoryBacking>: virsh edit DOMAIN",
	}}
}

// definition is what is wrong with the domain's XML, for this host.
func definition() []Row {
	return []Row{{
		ID:    "hugepages-node",
		Says:  []string{"hugepages: node … not found"},
		Cause: "<page nodeset> names a guest NUMA node that the guest does not have",
		Check: "domain", Do: "virsh edit DOMAIN: name the guest's own nodes, or leave nodeset out",
	}, {
		ID: "hugepages-ambiguous",
		Says: []string{
			"two master hugepages detected: …", "nodeset attribute of hugepages of sizes … intersect", "hugepage size can't be zero",
		},
		Cause: "the <page> elements contradict each other",
		Check: "domain", Do: "virsh edit DOMAIN: one <page> without nodeset, and the others for different nodes",
	}, {
		ID:    "hugepages-source",
		Says:  []string{"hugepages are not allowed with anonymous memory source", "hugepages are not allowed with memory allocation ondemand"},
		Cause: "<source type='anonymous'/> and <allocation mode='ondemand'/> do not go with huge pages",
		Check: "domain", Do: "vmhuge enable DOMAIN",
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
		ID: "numad-missing", Says: []string{"Failed to query numad for the advisory nodeset", "numad is not available on this host"},
		Cause: "placement='auto' asks numad for nodes, and there is no numad",
		Check: "numad", Do: "apt-get install numad, or name the nodes in <numatune>: virsh edit DOMAIN",
	}, {
		ID: "node-missing", Says: []string{"NUMA node … is unavailable"},
		Cause: "<numatune> names a node that the host does not have",
		Check: "pool", Do: "virsh edit DOMAIN: correct the nodeset in <numatune>",
	}, {
		ID: "emulatorpin", Says: []string{"Setting CPU affinity failed: Invalid argument"},
		Versions: "QEMU since 7.2, with libvirt 9.0 and 9.1",
		Cause:    "<emulatorpin> keeps QEMU off the processors of a node that the guest's memory is bound to, where it preallocates",
		Check:    "emulatorpin", Do: "virsh edit DOMAIN: let <emulatorpin> have a processor of each such node",
	}, {
		ID: "apparmor-numa", Says: []string{"The nodes select no CPUs"},
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
		Check: "domain", Do: "vmhuge enable --size 2M DOMAIN",
	}, {
		ID: "virtio-mem-block", Says: []string{"'block-size' property has to be at least the page size"},
		Cause: "the <block> of a virtio-mem device is smaller than a page",
		Check: "domain", Do: "virsh edit DOMAIN: raise <block> to the page size",
	}, {
		ID: "unaligned",
		Says: []string{
			"failed to resize memfd to …: Invalid argument",
			"backend … memory size must be multiple of", "backend memory size must be multiple of",
			"qemu_madvise: Invalid argument", "madvise doesn't support MADV_DONTDUMP",
		},
		Versions: "every QEMU for memfd, memory devices and memory bound to nodes; since 9.1 for any memory",
		Cause:    "the memory is not a multiple of the page",
		Check:    "domain", Do: "vmhuge enable --round DOMAIN",
	}, {
		ID: "bindings-contradict", Says: []string{"cannot bind memory to host NUMA nodes: Invalid argument"},
		Cause: "<memnode> binds to a node that <numatune><memory> does not allow",
		Check: "pool", Do: "virsh edit DOMAIN: let <memory> and <memnode> agree",
	}, {
		ID: "page-size-missing", Says: []string{
			"Unable to find any usable hugetlbfs mount for … KiB", "failed to create memfd with flags …: No such device",
			"Hugepage size must be a power of 2",
		},
		Cause: "the kernel has no pages of that size",
		Check: "page-size", Do: "vmhuge enable --size 2M DOMAIN; 1 GiB needs a processor with pdpe1gb",
	}, {
		ID: "dimm-without-acpi", Says: []string{"memory hotplug is not enabled: missing acpi device or acpi disabled"},
		Cause: "memory devices need ACPI",
		Check: "domain", Do: "virsh edit DOMAIN: add <acpi/> to <features>",
	}}
}

// mounts is what is wrong with a hugetlbfs, or with the folders on it.
func mounts() []Row {
	const notMounted = "hugetlbfs filesystem is not mounted or disabled by administrator config"
	const sizeNotMounted = "Unable to find any usable hugetlbfs mount for … KiB"
	const folder = "can't open backing store … for guest RAM: Permission denied"
	const folderOld = "unable to create backing store for hugepages: Permission denied"
	const older = "very old QEMU: unable to create backing store for hugepages"
	return []Row{{
		ID: "conf-empty-mount", Says: []string{"cannot determine filesystem for ''"},
		Versions: "libvirt 9.0",
		Cause:    `hugetlbfs_mount = "" in qemu.conf, though it is documented, keeps the QEMU driver from starting`,
		Check:    "mount", Do: "write hugetlbfs_mount = [] in /etc/libvirt/qemu.conf && systemctl restart libvirtd",
	}, {
		ID: "over-mounted", Says: []string{"not a hugetlbfs mount: …"},
		Cause: "something else is mounted over a hugetlbfs, and the QEMU driver does not start",
		Check: "mount", Do: "umount what findmnt shows above it && systemctl restart libvirtd",
	}, {
		ID: "mount-late", Says: []string{notMounted, sizeNotMounted},
		Cause: "the hugetlbfs was mounted after libvirtd started, which reads the mounts only once",
		Check: "mount", Do: "systemctl restart libvirtd, or vmhuge enable --source memfd DOMAIN, which needs no mount",
	}, {
		ID: "mount-missing", Says: []string{notMounted, sizeNotMounted},
		Cause: "no hugetlbfs with pages of this size is mounted, or qemu.conf leaves it out",
		Check: "mount", Do: "vmhuge start DOMAIN mounts it; or vmhuge enable --source memfd DOMAIN, which needs no mount",
	}, {
		ID: "session-mount", Says: []string{notMounted},
		Cause: "qemu:///session looks for no mounts: it knows those of the user's qemu.conf alone",
		Check: "mount", Do: "vmhuge -c qemu:///session enable --source memfd DOMAIN",
	}, {
		ID: "session-folder", Says: []string{"Unable to create …/libvirt/qemu…: Permission denied"},
		Cause: "the user may not make folders there: a guest of qemu:///system has made libvirt's first",
		Check: "mount", Do: "vmhuge -c qemu:///session enable --source memfd DOMAIN",
	}, {
		ID: "mount-read-only", Says: []string{"unable to create hugepage path …: Read-only file system", "Unable to create …: Read-only file system"},
		Cause: "a hugetlbfs is mounted read-only; libvirt makes a folder for each guest on every one that it knows",
		Check: "mount", Do: "mount -o remount,rw /dev/hugepages (vmhuge check names the mount)",
	}, {
		ID: "mount-inodes", Says: []string{
			"can't open backing store … for guest RAM: No space left on device", "unable to create hugepage path …: No space left on device",
			"Unable to create …/libvirt/qemu…: No space left on device",
		},
		Cause: "the hugetlbfs is mounted with nr_inodes=, and all are in use",
		Check: "mount", Do: "umount /dev/hugepages && mount -t hugetlbfs hugetlbfs /dev/hugepages, without nr_inodes= (vmhuge check names the mount)",
	}, {
		ID: "mount-vanished", Says: []string{"can't open backing store … for guest RAM: No such file or directory"},
		Cause: "the hugetlbfs that libvirt knows is not mounted any more, or something is mounted over it",
		Check: "mount", Do: "vmhuge start DOMAIN mounts it again",
	}, {
		ID: "folder-mode", Says: []string{folder, folderOld}, Versions: older,
		Cause: "a folder between the mount and the guest's own can't be searched by QEMU's user: made under umask 077, by an older libvirt, or by chmod",
		Check: "path", Do: "vmhuge start DOMAIN mends it; or chmod 0755 /dev/hugepages/libvirt /dev/hugepages/libvirt/qemu",
	}, {
		ID: "folder-stale", Says: []string{folder, folderOld}, Versions: older,
		Cause: "a folder of an earlier start, which a crash left behind, has another owner, and libvirt takes it as it is",
		Check: "path", Do: "vmhuge start DOMAIN removes it; or rmdir /dev/hugepages/libvirt/qemu/*-DOMAIN",
	}, {
		ID: "folder-of-root", Says: []string{folder, folderOld}, Versions: older,
		Cause: "QEMU was started by a user, without libvirt, and the mount is root's to write",
		Do:    "vmhuge exec -- qemu-system-x86_64 …, which needs no mount",
	}, {
		ID: "security-module", Says: []string{folder, folderOld}, Versions: older,
		Cause: "AppArmor or SELinux denies it",
		Do:    "vmhuge explain, as root, shows what was denied; or vmhuge enable --source memfd DOMAIN; with SELinux restorecon -R /dev/hugepages",
	}}
}

// memory is what there are too few of: pages.
func memory() []Row {
	const noMemory = "unable to map backing store for guest RAM: Cannot allocate memory"
	const noMemoryHuge = "unable to map backing store for hugepages: Cannot allocate memory"
	const noMemoryOld = "Insufficient free host memory pages available to allocate guest RAM"
	const badAddress = "preallocating memory failed: Bad address"
	const noMemoryVersions = "very old QEMU: for hugepages; 2.x to 6.x also: Insufficient free host memory pages"
	const badAddressVersions = "QEMU 6.2 to 7.1: os_mem_prealloc; since 7.2: qemu_prealloc_mem"
	return []Row{{
		ID: "hotplug-short", Says: []string{"unable to execute QEMU command 'object-add': unable to map backing store for guest RAM: Cannot allocate memory"},
		Cause: "too few free huge pages for the memory device that was attached; the guest runs on without it",
		Check: "pool", Do: "echo N > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, with as many more as it needs",
		Kind: advice.NoMemory,
	}, {
		ID: "pool-short", Says: []string{noMemory, noMemoryHuge, noMemoryOld}, Versions: noMemoryVersions,
		Cause: "too few free huge pages; of those that are free, some may be reserved",
		Check: "pool", Do: "vmhuge start DOMAIN gets them; vmhuge check DOMAIN says how many it lacks",
		Kind: advice.NoMemory,
	}, {
		ID: "node-short", Says: []string{noMemory, noMemoryHuge, noMemoryOld, badAddress}, Versions: noMemoryVersions + "; " + badAddressVersions,
		Cause: "too few free huge pages on a node that the guest is bound to, whatever others have",
		Check: "pool", Do: "vmhuge start DOMAIN gets them there; vmhuge check DOMAIN names the node",
		Kind: advice.NoMemory,
	}, {
		ID: "mount-full", Says: []string{noMemory, noMemoryHuge},
		Cause: "the hugetlbfs is mounted with size=, and full",
		Check: "mount", Do: "umount /dev/hugepages && mount -t hugetlbfs hugetlbfs /dev/hugepages, without size= (vmhuge check names the mount)",
	}, {
		ID: "min-size", Says: []string{noMemory, noMemoryHuge},
		Cause: "another hugetlbfs is mounted with min_size=, which reserves free pages for its own files",
		Check: "pool", Do: "umount the mount that findmnt -t hugetlbfs shows with min_size=, or vmhuge start DOMAIN gets more",
		Kind: advice.NoMemory,
	}, {
		ID: "cgroup-reserved", Says: []string{noMemory, noMemoryHuge},
		Cause: "a cgroup above the guest limits the huge pages that may be reserved (hugetlb.SIZE.rsvd.max)",
		Check: "cgroup", Do: "echo max > the hugetlb.2MB.rsvd.max that vmhuge check DOMAIN names",
	}, {
		ID: "cgroup-used", Says: []string{badAddress}, Versions: badAddressVersions,
		Cause: "a cgroup above the guest limits the huge pages that may be in use (hugetlb.SIZE.max)",
		Check: "cgroup", Do: "echo max > the hugetlb.2MB.max that vmhuge check DOMAIN names",
	}, {
		ID: "allocpages-short", Says: []string{"Unable to allocate … pages. Allocated only"},
		Cause: "the kernel found no more free memory in one piece, and virsh allocpages keeps what it got",
		Check: "pool", Do: "vmhuge start DOMAIN compacts memory on the way; --drop-caches helps where that is not enough",
		Kind: advice.NoMemory,
	}, {
		ID: "migration-page-size", Says: []string{"Mismatched RAM page size"},
		Cause: "postcopy migration needs pages of the same size on both hosts",
		Do:    "virsh migrate without --postcopy, or with --xml for pages that the other host has",
	}}
}
