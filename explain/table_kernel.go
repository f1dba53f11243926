package explain

import (
	"slices"
	"strconv"

	"vmhuge/internal/advice"
)

// ofGuests completes words with the names that the kernel knows QEMU by: its binary, cut
// off at 15 characters; kvm, of Proxmox and Debian's older releases; a virtual processor's
// thread. qemu-img, qemu-nbd and the guest agent are no guests.
func ofGuests(before, after string) []string {
	return []string{before + "qemu-system-…" + after, before + "qemu-kvm" + after, before + "kvm" + after, before + "CPU …/KVM" + after}
}

// kernel is what the kernel and the tools for its settings say.
func kernel() []Row {
	mountDenied := []string{
		"mount: PATH: permission denied", "mount: PATH: Operation not permitted", "mount: PATH: must be superuser to use mount",
		"mount: PATH: mount… system call failed: Operation not permitted", "mount: PATH: fsopen… failed: Operation not permitted", "mount: PATH: fsconfig… failed: Operation not permitted",
		`Operation not permitted - Failed to mount "hugetlbfs"`,
	}
	killed := slices.Concat(
		ofGuests("Out of memory: Killed process … (", ")"), ofGuests("Out of memory: Kill process … (", ")"), ofGuests("oom-kill:…task=", ","), ofGuests("oom_reaper: reaped process … (", ")"),
		[]string{
			"machine-qemu…scope: A process of this unit has been killed by the OOM killer", "machine-qemu…scope: Failed with result 'oom-kill'",
			"Killed …/machine-qemu…scope due to memory",
		},
	)
	var freePages []string // any number but 0
	for digit := range 9 {
		freePages = append(freePages, "hugepages_free="+strconv.Itoa(digit+1))
	}
	return []Row{{
		ID: "mount-option", Says: []string{
			"hugetlbfs: Bad mount option", "hugetlbfs: Unknown parameter", "hugetlbfs: Bad value", "hugetlbfs: Bad value '…' for mount option", "Minimum size can not be greater than maximum size",
			"mount: PATH: wrong fs type, bad option, bad superblock", "mount: PATH: fsconfig… failed: hugetlbfs",
			"mount: PATH: mount… system call failed: Invalid argument",
		},
		On:    huge,
		Cause: "an option of a hugetlbfs is not one of the kernel's (pagesize=, size=, min_size=, nr_inodes=, mode=, uid=, gid=, in small letters, sizes as 2M or 1G), or it has no pages of that size",
		Check: "page-size", Do: "correct the options in /etc/fstab or the .mount unit, systemctl daemon-reload, and mount it again; vmhuge prepare writes them right",
	}, {
		ID: "mount-denied", Says: mountDenied, On: huge, Unless: []string{"not a hugetlbfs mount"},
		Cause: "whoever mounts a hugetlbfs lacks CAP_SYS_ADMIN: a user other than root, or a container",
		Do:    "mount it as root on the host, and pass PATH into the container; a container's own unit that fails each time can be masked: systemctl mask dev-hugepages.mount",
	}, {
		ID: "mount-unit", Says: []string{
			"Failed to mount Huge Pages File System", "Failed to mount dev-hugepages", "dev-hugepages….mount: Mount process exited", "dev-hugepages….mount: Failed with result",
		},
		UnlessAny: slices.Concat(mountDenied, []string{"wrong fs type, bad option", "hugetlbfs: ", "mount point does not exist", "unknown filesystem type", "system call failed", "fsconfig"}),
		Cause:     "systemd could not mount a hugetlbfs; the line of mount or of the kernel beside it says why: no permission in a container, an option or page size that the kernel does not know, too few pages for min_size=",
		Do:        "journalctl -b | grep -i -e hugepages -e hugetlbfs, and vmhuge explain of that; mount PATH by hand says it too",
	}, {
		ID: "mount-point", Says: []string{"mount: PATH: mount point does not exist"}, On: huge,
		Cause: "the folder that a hugetlbfs is to be mounted on is not there; /dev is made anew at each boot",
		Do:    "mkdir PATH && mount PATH; or a .mount unit, which makes the folder (vmhuge prepare writes one)",
	}, {
		ID: "no-hugetlbfs", Says: []string{"unknown filesystem type 'hugetlbfs'"},
		Cause: "this kernel has no hugetlbfs (CONFIG_HUGETLBFS), or the container may not mount it",
		Do:    "grep HUGETLBFS /boot/config-$(uname -r), and a kernel of the distribution; in a container mount it on the host and pass it in. vmhuge enable --thp DOMAIN needs none",
	}, {
		ID: "pool-write", Says: []string{
			"nr_hugepages: Permission denied", "nr_hugepages: Read-only file system", "nr_hugepages …write error: Invalid argument",
			"permission denied on key …vm.nr_huge", "setting key …vm.nr_huge…: Read-only file system", "setting key …vm.nr_huge…: Invalid argument", "setting key …vm.nr_huge…: Permission denied",
			"Couldn't write '…' to 'vm/nr_huge…: Invalid argument", "Couldn't write '…' to 'vm/nr_huge…: Read-only file system",
			"Couldn't write '…' to 'vm/nr_huge…: Permission denied", "Couldn't write '…' to 'vm/nr_huge…: Operation not permitted", "Unable to write to: …nr_hugepages: Invalid argument",
			"nr_hugepages …write error: Permission denied", "nr_hugepages …write error: Device or resource busy",
		},
		Cause: "the size of the pool can't be written: only root may, in no container with a read-only /proc/sys, with one number in it, and pages of 1 GiB only if the kernel can allocate them at run time (CONFIG_CONTIG_ALLOC)",
		Do:    "run as root (echo N | sudo tee FILE, for sudo echo N > FILE is the user's own redirection); or vmhuge prepare --pages N --size SIZE; pages of 1 GiB from boot on with --persist",
	}, {
		ID: "mount-min-size", Says: []string{"mount: PATH: mount… system call failed: Cannot allocate memory", "mount: PATH: fsconfig… failed: Cannot allocate memory"},
		On:    huge,
		Cause: "the mount's min_size= reserves more pages than are free",
		Do:    "vmhuge status shows how many are free: allocate more first (vmhuge prepare --pages N --size SIZE), or lower min_size=",
		Kind:  advice.NoMemory,
	}, {
		ID: "boot-short", Says: []string{
			"HugeTLB: allocating … of page size … failed. Only allocated", "HugeTLB: allocation … of page size … failed", "hugetlb_cma: reservation failed",
			"hugetlb: allocating … failed. Only allocated", "HugeTLB: hugepages=…: failed",
		},
		Cause: "the kernel had fewer pages in one piece at boot than its command line or sysctl asked for",
		Do:    "ask for less, or leave the rest to vmhuge start, which compacts memory: vmhuge prepare --persist --pages N --size SIZE",
		Kind:  advice.NoMemory,
	}, {
		ID: "kernel-line", Says: []string{
			"HugeTLB: unsupported …hugepagesz", "HugeTLB: Invalid hugepages parameter", "HugeTLB: hugepages=… does not follow a valid hugepagesz", "HugeTLB: hugepages does not follow a valid hugepagesz",
			"HugeTLB: default_hugepagesz already specified", "HugeTLB: hugepagesz=… specified twice", "HugeTLB: hugepages=… specified twice", "hugepages=… before hugepagesz",
			`Unknown kernel command line parameters "…huge…", will be passed to user space`,
			"hugetlb_cma: cma area should be at least", "HugeTLB: hugetlb_cma is enabled, skip boot time allocation",
		},
		Cause: "the kernel's command line asks for huge pages in words, an order or a combination that the kernel does not take",
		Do:    "vmhuge check shows the line and its right spelling; vmhuge prepare --persist --pages N --size SIZE writes it",
	}, {
		ID: "sysctl-key", Says: []string{"cannot stat /proc/sys/vm/…huge…: No such file or directory", "sysctl: unknown oid 'vm.…huge", "Couldn't write '…' to 'vm/…huge…: No such file or directory"},
		Cause: "there is no such key: it is vm.nr_hugepages, with an s, or this kernel has no huge pages",
		Do:    "grep -rn huge /etc/sysctl.conf /etc/sysctl.d, and correct it; vmhuge prepare --persist --pages N writes a right one",
	}, {
		ID: "oom-killed", Says: killed,
		Cause: "the kernel killed a guest because ordinary memory ran out, of the host or of the guest's cgroup (<hard_limit>). Huge pages do not count as free memory: a pool that is too large makes the rest short",
		Do:    "vmhuge status shows what the pools hold, and of that what no guest uses; give pages back (vmhuge undo), or raise <memtune><hard_limit>",
		Kind:  advice.NoMemory,
	}, {
		ID: "oom-invoked", Says: ofGuests("", " invoked oom-killer"), UnlessAny: killed,
		Cause: "ordinary memory, of the host or of a cgroup, ran out when a guest's QEMU asked for more. The kernel then killed a process, which the line Killed process names: it need not be the guest. Huge pages do not count as free memory: a pool that is too large makes the rest short",
		Do:    "vmhuge status shows what the pools hold, and of that what no guest uses; give pages back (vmhuge undo), or start fewer programs beside the guests",
		Kind:  advice.NoMemory,
	}, {
		ID: "oom-pools", Says: freePages,
		Cause: "ordinary memory ran short while huge pages were free (hugepages_free times hugepages_size), which the kernel gives to no program that does not ask for them",
		Do:    "vmhuge status shows what the pools hold, and of that what no guest uses; vmhuge undo gives back what vmhuge allocated; lower vm.nr_hugepages or hugepages= where that asks for them at boot",
		Kind:  advice.NoMemory,
	}, {
		ID: "boot-starved", Says: []string{"System is deadlocked on memory", "Out of memory and no killable processes"},
		Cause: "ordinary memory ran out, and nothing is left to kill: mostly the kernel's command line or sysctl asks for so many huge pages that the host can't boot",
		Do:    "edit the kernel's line in the boot loader: lower hugepages= (nodes with : too), or add systemd.mask=systemd-sysctl.service where sysctl sets vm.nr_hugepages; then correct the file",
		Kind:  advice.NoMemory,
	}, {
		ID: "page-poisoned", Says: slices.Concat(
			ofGuests("Memory failure: 0x…: Sending SIGBUS to ", ":"), ofGuests("Memory failure: 0x…: Killing ", ":"),
			ofGuests("MCE 0x…: Killing ", ":"), ofGuests("MCE: Killing ", ":"), []string{
				"Guest memory hardware error", "Memory failure: …: recovery action for huge page", "Memory failure: 0x…: huge page",
				"HugeTLB: …hwpoison", "huge page …hardware memory error", "Guest MCE Memory Error",
			}),
		Cause: "a DIMM of the host has failed in a page of a guest, and the kernel takes the whole huge page out of use",
		Do:    "ras-mc-ctl --errors names the DIMM; HugePages_Total stays smaller until a reboot",
	}}
}
