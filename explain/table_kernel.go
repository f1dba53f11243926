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

// poolRefused is what the shell, tee, sysctl, systemd and others say where a pool's size can't
// be written; Python, Node.js and Ruby have the reason before the path.
func poolRefused(reason string) []string {
	says := []string{
		"nr_hugepages': " + reason, "nr_hugepages …write error: " + reason, "setting key …vm.nr_huge…: " + reason, "Couldn't write '…' to 'vm/nr_huge…: " + reason,
		reason + ": '…nr_…hugepages'", reason + ", open '…nr_…hugepages'", reason + " @ rb_sysopen - …nr_…hugepages",
	}
	if reason != "Invalid argument" { // which is of pages that have no overcommit
		says = append(says, "nr_overcommit_hugepages': "+reason)
	}
	return says
}

// ownDefault is what old kernels say when they are asked for the default size that they have.
var ownDefault = func() (says []string) {
	for _, bytes := range []string{"65536", "1048576", "2097152", "4194304", "16777216", "33554432", "268435456", "536870912"} {
		says = append(says, "HugeTLB: unsupported default_hugepagesz "+bytes+". Reverting to "+bytes)
	}
	return says
}()

// kernel is what the kernel and the tools for its settings say.
func kernel() []Row {
	mountDenied := []string{
		"mount: PATH: permission denied", "mount: PATH: Operation not permitted", "mount: PATH: must be superuser to use mount",
		"mount: PATH: mount… system call failed: Operation not permitted", "mount: PATH: fsopen… failed: Operation not permitted", "mount: PATH: fsconfig… failed: Operation not permitted",
		`Operation not permitted - Failed to mount "hugetlbfs"`,
	}
	ofCgroup := append(ofGuests("Memory cgroup out of memory: Killed process … (", ")"), ofGuests("Memory cgroup out of memory: Kill process … (", ")")...)
	killed := slices.Concat(
		ofGuests("Out of memory: Killed process … (", ")"), ofGuests("Out of memory: Kill process … (", ")"), ofGuests("oom-kill:…task=", ","), ofGuests("oom_reaper: reaped process … (", ")"),
		[]string{
			"machine-qemu…scope: A process of this unit has been killed by the OOM killer",
		},
	)
	// Newer versions mark the cgroup, and kill it afterwards.
	byOomd := []string{"Killed …/machine-qemu…scope…due to memory", "Marked …/machine-qemu…scope…for killing due to memory", "machine-qemu…scope: systemd-oomd killed"}
	var freePages []string // any number but 0
	for digit := range 9 {
		freePages = append(freePages, "hugepages_free="+strconv.Itoa(digit+1))
	}
	const unsupportedMount = "hugetlbfs: Unsupported page size"
	return []Row{{
		ID: "mount-option", Says: []string{
			"hugetlbfs: Bad mount option", "hugetlbfs: Unknown parameter", "hugetlbfs: Bad value", "hugetlbfs: Bad value '…' for mount option", "Minimum size can not be greater than maximum size",
			"mount: PATH: wrong fs type, bad option, bad superblock", "mount: PATH: fsconfig… failed: hugetlbfs",
			"mount: PATH: mount… system call failed: Invalid argument",
		},
		On: huge, UnlessAny: []string{unsupportedMount},
		Cause: "an option of a hugetlbfs is not one of the kernel's (pagesize=, size=, min_size=, nr_inodes=, mode=, uid=, gid=, in small letters, sizes as 2M or 1G), or it has no pages of that size",
		Check: "page-size", Do: "correct the options in /etc/fstab or the .mount unit, systemctl daemon-reload, and mount it again; vmhuge prepare writes them right",
	}, {
		ID: "mount-page-size", Says: []string{unsupportedMount},
		Cause: "the kernel has no pages of the size that pagesize= of a hugetlbfs names",
		Do:    "ls /sys/kernel/mm/hugepages shows the sizes that exist; correct pagesize= in /etc/fstab or the .mount unit, systemctl daemon-reload, and mount it again",
	}, {
		ID: "mount-denied", Says: mountDenied, On: huge, Unless: []string{"not a hugetlbfs mount"},
		Cause: "whoever mounts a hugetlbfs lacks CAP_SYS_ADMIN: a user other than root, or a container",
		Do:    "mount it as root on the host, and pass PATH into the container; a container's own unit that fails each time can be masked: systemctl mask dev-hugepages.mount",
	}, {
		ID: "mount-unit", Says: []string{
			"Failed to mount Huge Pages File System", "Failed to mount dev-hugepages", "dev-hugepages….mount: Mount process exited", "dev-hugepages….mount: Failed with result",
		},
		UnlessAny: slices.Concat(mountDenied, []string{"wrong fs type, bad option", "hugetlbfs: ", "mount point does not exist", "unknown filesystem type", "system call failed", "fsconfig"}),
		Cause:     "systemd could not mount a hugetlbfs; a line next to it, from mount or the kernel, says why: no permission in a container, an option or page size that the kernel does not know, too few pages for min_size=",
		Do:        "journalctl -b | grep -i -e hugepages -e hugetlbfs, and pass the output to vmhuge explain; mount PATH by hand shows it too",
	}, {
		ID: "mount-point", Says: []string{"mount: PATH: mount point does not exist"}, On: huge,
		Cause: "the mount point of a hugetlbfs does not exist; /dev is created again at each boot",
		Do:    "mkdir PATH && mount PATH; or a .mount unit, which makes the folder (vmhuge prepare writes one)",
	}, {
		ID: "no-hugetlbfs", Says: []string{"unknown filesystem type 'hugetlbfs'"},
		Cause: "this kernel has no hugetlbfs (CONFIG_HUGETLBFS), or the container is not allowed to mount it",
		Do:    "grep HUGETLBFS /boot/config-$(uname -r), and a kernel of the distribution; in a container mount it on the host and pass it in. vmhuge enable --thp DOMAIN needs none",
	}, {
		ID: "pool-read-only", Says: poolRefused("Read-only file system"), UnlessAny: ofHooks,
		Cause: "/proc/sys and /sys are mounted read-only there, as in a container: the pools are the host's, and a container does not set them",
		Do:    "on the host: vmhuge prepare --pages N --size SIZE; the container gets the pages from its manager (resources.limits hugepages-2Mi in Kubernetes, limits.hugepages.2MB in Incus). In a systemd unit, ProtectKernelTunables=yes has the same effect",
	}, {
		ID: "pool-container", Says: []string{
			"sysctl …vm.nr_…huge… is not in a separate kernel namespace", "sysctl …vm.nr_…huge… is not allowed", "forbidden sysctl: …vm.nr_…huge",
		},
		Cause: "the sizes of the pools are the host's, and no container has its own: Docker, Podman and Kubernetes refuse to set them for one",
		Do:    "take the sysctl out of the container's definition, and on the host: vmhuge prepare --persist --pages N --size SIZE",
	}, {
		ID: "pool-denied", Says: slices.Concat(poolRefused("Permission denied"), poolRefused("Operation not permitted"), []string{"permission denied on key …vm.nr_"}), UnlessAny: ofHooks,
		Cause: "only root may set the size of a pool: sudo does not hold for a redirection (sudo echo N > FILE), and root in an unprivileged container cannot do it either",
		Do:    "as root: vmhuge prepare --pages N --size SIZE, or echo N | sudo tee FILE; for a container on the host",
	}, {
		ID: "pool-denied-module", Says: []string{
			`avc: denied {…name="nr_hugepages"`, `avc: denied {…name="nr_overcommit_hugepages"`, `apparmor="DENIED" …/nr_hugepages"`, `apparmor="DENIED" …/nr_overcommit_hugepages"`,
			"SELinux is preventing … on the … nr_hugepages",
		}, Unless: []string{"avc: denied {…permissive=1"},
		Cause: "SELinux or AppArmor does not let a program, which the record names, set the size of a pool",
		Do:    "SELinux, for a hook: restorecon -R /etc/libvirt/hooks, or the package vmhuge-selinux; else ausearch -m avc --raw | audit2allow shows the rule. AppArmor: a rule for the file with w in /etc/apparmor.d/local, in the file named as the profile",
	}, {
		ID: "pool-size-missing", Says: []string{"hugepages-…kB/nr_hugepages': No such file or directory", "No such file or directory: '…hugepages-…kB/nr_hugepages'", "page size … is not available on node"},
		Cause: "there is no pool of that size: the kernel, or the node that is named, has no pages of it",
		Do:    "ls /sys/kernel/mm/hugepages shows the sizes that exist (/sys/devices/system/node/node0/hugepages those of a node): vmhuge prepare --pages N --size SIZE with one of these; on x86, 1 GiB needs a processor with pdpe1gb",
	}, {
		ID: "pool-invalid", Says: append(poolRefused("Invalid argument"), "Unable to write to: …nr_hugepages: Invalid argument"),
		Cause: "the kernel does not accept it as the size of a pool: it must be one number, and pages of 1 GiB only where the kernel can allocate them at run time (CONFIG_CONTIG_ALLOC, a processor with pdpe1gb)",
		Do:    "vmhuge prepare --pages N --size SIZE; for pages of 1 GiB reserved at boot add --persist",
	}, {
		ID: "pool-overcommit", Says: []string{
			"nr_overcommit_hugepages': Invalid argument", "nr_overcommit_hugepages …write error: Invalid argument", "setting key …vm.nr_overcommit…: Invalid argument", "Couldn't write '…' to 'vm/nr_overcommit…: Invalid argument",
		},
		Cause: "pages of 1 GiB (and other gigantic ones) have no overcommit before Linux 6.19: the kernel does not allocate them on demand",
		Do:    "vmhuge prepare --pages N --size 1G, with the number that is needed; or vmhuge start DOMAIN, which allocates them for as long as the guest runs",
	}, {
		ID: "mount-min-size", Says: []string{"mount: PATH: mount… system call failed: Cannot allocate memory", "mount: PATH: fsconfig… failed: Cannot allocate memory"},
		On:    huge,
		Cause: "the mount's min_size= reserves more pages than are free",
		Do:    "vmhuge status shows how many are free: allocate more first (vmhuge prepare --pages N --size SIZE), or lower min_size=",
		Kind:  advice.NoMemory,
	}, {
		ID: "boot-short", Says: []string{
			"HugeTLB: allocating … of page size … failed. Only allocated", "HugeTLB: allocating … of page size … failed node", "HugeTLB: allocation … of page size … failed",
			"hugetlb: allocating … failed. Only allocated", "HugeTLB: hugepages=…: failed",
		},
		Cause: "the kernel had fewer pages in one piece at boot than its command line or sysctl asked for",
		Do:    "ask for less, or leave the rest to vmhuge start, which compacts memory: vmhuge prepare --persist --pages N --size SIZE",
		Kind:  advice.NoMemory,
	}, {
		ID: "hugetlb-disabled", Says: []string{"HugeTLB support is disabled!", "HugeTLB: huge pages not supported, ignoring", "hugetlbfs: disabling because there are no supported hugepage sizes"},
		Cause: "this kernel has no huge pages at all on this machine: a guest of Xen (PV) or of another hypervisor that shows none, an MMU without them (ppc64 with its hash table), or a kernel without CONFIG_HUGETLBFS",
		Do:    "ls /sys/kernel/mm/hugepages shows the sizes, if there are any; in a guest give it the host's CPU model; vmhuge enable --thp DOMAIN needs no pool, where cat /sys/kernel/mm/transparent_hugepage/enabled is there",
	}, {
		ID: "kernel-line-default", Says: ownDefault,
		Versions: "Linux before 5.8",
		Cause:    "not an error: default_hugepagesz= names the size that is this kernel's default anyway, and the two sizes of the message are the same",
		Do:       "nothing: ls /sys/kernel/mm/hugepages shows the sizes that exist",
	}, {
		ID: "kernel-line-size", Says: []string{"HugeTLB: unsupported …hugepagesz", "hugepagesz: Unsupported page size"},
		Unless: ownDefault,
		Cause:  "the kernel's command line names a size of huge pages that this kernel on this processor does not have, and the kernel ignores that, with the hugepages= behind it",
		Do:     "ls /sys/kernel/mm/hugepages shows the sizes that exist; correct hugepagesz= and default_hugepagesz= on the kernel's command line, in the boot loader's configuration (/etc/default/grub, then update-grub or grub2-mkconfig), and reboot; on x86, 1G needs a processor with pdpe1gb, which in a guest is a matter of its CPU model",
	}, {
		ID: "kernel-line", Says: []string{
			"preceded by an unsupported hugepagesz", "HugeTLB: Invalid hugepages parameter", "HugeTLB: hugepages=… does not follow a valid hugepagesz", "HugeTLB: hugepages does not follow a valid hugepagesz",
			"HugeTLB: default_hugepagesz already specified", "HugeTLB: hugepagesz=… specified twice", "HugeTLB: hugepages=… specified twice", "hugepages=… before hugepagesz", "HugeTLB: architecture can't support node specific alloc",
			`Unknown kernel command line parameters "…huge…", will be passed to user space`,
		},
		Cause: "the kernel's command line asks for huge pages with words, in an order or in a combination that the kernel does not accept",
		Do:    "vmhuge check shows the line and its right spelling; vmhuge prepare --persist --pages N --size SIZE writes it",
	}, {
		ID: "cma-skips-boot", Says: []string{"HugeTLB: hugetlb_cma is enabled, skip boot time allocation"},
		Cause: "with hugetlb_cma= on its command line the kernel does not allocate the gigantic pages (1 GiB on x86) of hugepages= at boot: they come out of hugetlb_cma at run time. Smaller pages are allocated as usual",
		Do:    "take hugepagesz=1G hugepages=N off the command line, as hugetlb_cma= of N GiB is enough: vmhuge start, or vmhuge prepare --pages N --size 1G, takes them from it; since Linux 6.15 hugetlb_cma_only=on has the kernel allocate them from it at boot",
	}, {
		ID: "cma-small", Says: []string{"hugetlb_cma: cma area should be at least", "hugetlb_cma: cma area of node … should be at least", "hugetlb_cma: cma area of node … must be a multiple of"},
		Cause: "hugetlb_cma= is smaller than one gigantic page, or no multiple of it, in total or on the node that the message names, and nothing is reserved there",
		Do:    "ask for more, a multiple of the size that the message names: hugetlb_cma=4G, or hugetlb_cma=0:2G,1:2G by nodes",
	}, {
		ID: "cma-failed", Says: []string{"hugetlb_cma: reservation failed", "cma: Failed to reserve … MiB"},
		Cause: "the kernel found no free range of the size of hugetlb_cma= in one piece on that node, and has none of it there",
		Do:    "ask for less on that node, or on another one: hugetlb_cma=0:4G,1:8G by nodes, in multiples of 1 GiB",
		Kind:  advice.NoMemory,
	}, {
		ID: "cma-node", Says: []string{"hugetlb_cma: invalid node"},
		Cause: "hugetlb_cma= names a node that has no memory, or that is not there",
		Do:    "numactl -H shows each node's memory: correct hugetlb_cma=NODE:SIZE,NODE:SIZE",
	}, {
		ID: "cma-missing", Says: []string{"hugetlb_cma: the option isn't supported by current arch"},
		Cause: "this kernel or processor has no gigantic pages, and hugetlb_cma= is only for these; on x86 they need pdpe1gb, which in a guest is a matter of its CPU model",
		Do:    "take hugetlb_cma= off the command line; pages of 2 MiB need none",
	}, {
		ID: "cma-reserved", Says: []string{"hugetlb_cma: reserved … MiB on node", "hugetlb_cma: reserve … MiB, up to … MiB per node"},
		UnlessAny: []string{"HugeTLB: hugetlb_cma is enabled, skip boot time allocation", "hugetlb_cma: reservation failed", "hugetlb_cma: cma area"},
		Cause:     "not an error: the kernel keeps memory in one piece for gigantic pages (1 GiB on x86), and lends it to what can be moved until they are asked for",
		Do:        "nothing: vmhuge start, or vmhuge prepare --pages N --size 1G, takes the pages from it",
	}, {
		ID: "sysctl-key", Says: []string{"cannot stat /proc/sys/vm/…huge…: No such file or directory", "sysctl: unknown oid 'vm.…huge", "Couldn't write '…' to 'vm/…huge…: No such file or directory"},
		Cause: "there is no such key: it is vm.nr_hugepages, with an s, or this kernel has no huge pages",
		Do:    "grep -rn huge /etc/sysctl.conf /etc/sysctl.d, and correct it; vmhuge prepare --persist --pages N writes a correct one",
	}, {
		ID: "oom-cgroup", Says: ofCgroup,
		Cause: "the kernel killed a guest because its cgroup reached its limit: <hard_limit> in <memtune>, MemoryMax of a unit or slice above it, or resources.limits.memory of a pod. It counts QEMU's own memory, and huge pages only where cgroup2 is mounted with memory_hugetlb_accounting; what the host has free does not matter",
		Do:    "the line oom-kill: names the cgroup (oom_memcg=); raise its limit by 1 GiB or more, or take <hard_limit> out: virsh edit DOMAIN",
	}, {
		ID: "oomd-killed", Says: byOomd,
		Cause: "systemd-oomd killed a guest, not the kernel: a slice that it watches, which the message names after for, waited too long for memory, or the host's swap was nearly full. No limit of the guest was reached. Huge pages do not relieve that: a pool that is too large leaves too little for the rest",
		Do:    "oomctl shows what systemd-oomd watches, and its limits; systemctl set-property machine.slice ManagedOOMMemoryPressure=auto ManagedOOMSwap=auto ends that for the slice that is named (ManagedOOMMemoryPressureLimit= raises the limit), ManagedOOMPreference=omit of the guest's scope spares it; vmhuge status shows what the pools hold and no guest uses",
		Kind:  advice.NoMemory,
	}, {
		ID: "oom-killed", Says: killed, UnlessAny: ofCgroup,
		Cause: "the kernel killed a guest because ordinary memory ran out, of the host or of the guest's cgroup (<hard_limit>). Huge pages do not count as free memory: a pool that is too large leaves too little for the rest",
		Do:    "vmhuge status shows what the pools hold, and how much of that no guest uses; free pages (vmhuge undo), or raise <memtune><hard_limit>",
		Kind:  advice.NoMemory,
	}, {
		ID: "oom-result", Says: []string{"machine-qemu…scope: Failed with result 'oom-kill'"}, UnlessAny: slices.Concat(killed, ofCgroup, byOomd),
		Cause: "a guest was killed because memory ran out; systemd's line does not say whether the kernel or systemd-oomd did it",
		Do:    "journalctl -k -g 'oom-kill|Killed process' shows what the kernel killed, journalctl -u systemd-oomd what systemd-oomd did; vmhuge explain tells more of those lines",
		Kind:  advice.NoMemory,
	}, {
		ID: "oom-invoked", Says: ofGuests("", " invoked oom-killer"), UnlessAny: slices.Concat(killed, ofCgroup),
		Cause: "ordinary memory, of the host or of a cgroup, ran out when a guest's QEMU asked for more. The kernel then killed a process, which the line Killed process names: it need not be the guest. Huge pages do not count as free memory: a pool that is too large leaves too little for the rest",
		Do:    "vmhuge status shows what the pools hold, and how much of that no guest uses; free pages (vmhuge undo), or start fewer programs beside the guests",
		Kind:  advice.NoMemory,
	}, {
		ID: "ended-silently", Says: []string{"shutting down, reason=failed¶", "shutting down, reason=crashed¶"},
		UnlessAny: []string{"libvirt: error", "Failed to start domain"}, Wordless: true,
		Cause: "QEMU ended without a reason in the domain's log: the kernel killed it (out of memory, or SIGBUS where there was no page), it crashed, or libvirt gave up the start for a reason that only virsh start and libvirt's journal name",
		Do:    "journalctl -k -g 'oom|Killed process|Memory failure|segfault' shows what the kernel did, coredumpctl list what crashed, and with which signal; journalctl -u DAEMON has libvirt's reason",
	}, {
		ID: "oom-pools", Says: freePages,
		Cause: "ordinary memory ran short while huge pages were free (hugepages_free times hugepages_size), which the kernel gives to no program that does not ask for them",
		Do:    "vmhuge status shows what the pools hold, and how much of that no guest uses; vmhuge undo frees what vmhuge allocated; lower vm.nr_hugepages or hugepages= where that asks for them at boot",
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
