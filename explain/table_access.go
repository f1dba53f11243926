package explain

// access is what QEMU's user, or libvirt's daemon, may not have or do.
func access() []Row {
	// QEMU or libguestfs, run by a user.
	own := []string{"$ qemu-system-", "$ qemu-kvm", "$ kvm ", "libguestfs: ", "qemu:///session"}
	kvmDenied := []string{
		"Could not access KVM kernel module: Permission denied", "failed to initialize kvm: Permission denied", "/dev/kvm: Permission denied",
		"Could not access KVM kernel module: Operation not permitted", "/dev/kvm: Operation not permitted",
	}
	// "failed to initialize kvm: Operation not permitted" is -1 of any part of KVM's setup.
	return []Row{{
		ID: "sev-setup",
		Says: []string{
			"sev_…kvm_init: kernel does not support restricted guest memory", "sev_…kvm_init: kernel does not support", "sev_…kvm_init: failed to", "sev_…kvm_init: guest policy requires", "sev_…kvm_init: Failed to open", "sev_guest_init: failed to",
		},
		Cause: "QEMU could not set up SEV for a guest with <launchSecurity>: the kernel lacks what this QEMU asks for, SEV (SEV-ES, SEV-SNP) is off, or the firmware of its processor does not answer. Huge pages and the mode of /dev/kvm are not involved",
		Do:    "grep . /sys/module/kvm_amd/parameters/sev*: Y or 1 is on; journalctl -k -g 'SEV|ccp' says what the firmware lacks; SEV-SNP needs Linux 6.11 and QEMU 9.1, and earlier builds of QEMU with it the kernel that they were made for",
	}, {
		ID: "kvm-missing",
		Says: []string{
			"Could not access KVM kernel module: No such file or directory", "Could not access KVM kernel module: No such device",
			"could not find capabilities for domaintype=kvm", "Domain requires KVM, but it is not available",
		},
		Cause: "there is no /dev/kvm, or QEMU's own /dev lacks it: cgroup_device_acl in qemu.conf leaves it out",
		Check: "kvm",
		Do:    "switch on virtualization in the firmware, and on x86 modprobe kvm_intel (or kvm_amd); where cgroup_device_acl is set in qemu.conf, add \"/dev/kvm\" to it and systemctl restart DAEMON",
	}, {
		ID:        "kvm-permission",
		Says:      kvmDenied,
		UnlessAny: own,
		Cause:     "QEMU's user cannot open /dev/kvm: its owner and mode do not allow it, or cgroup_device_acl in qemu.conf leaves it out",
		Check:     "kvm",
		Do:        "ls -l /dev/kvm: if its group cannot read and write it, chgrp kvm /dev/kvm && chmod 0660 /dev/kvm (udev's rule does that at boot); then gpasswd -a USER kvm, if USER is not in that group; where cgroup_device_acl is set in qemu.conf, add \"/dev/kvm\" to it and systemctl restart DAEMON",
	}, {
		ID:        "kvm-permission-own",
		Says:      kvmDenied,
		UnlessAny: []string{"Failed to start domain", "Failed to create domain", "Failed to autostart VM", "error: internal error: ", "libvirtError", "libvirtd[", "virtqemud[", "(vm='"},
		Cause:     "whoever ran QEMU, by hand, with libguestfs or in qemu:///session, cannot open /dev/kvm",
		Do:        `sudo usermod -a -G kvm "$USER", and log in again; if ls -l /dev/kvm shows no group kvm with rw: sudo chgrp kvm /dev/kvm && sudo chmod 0660 /dev/kvm`,
	}, {
		ID: "locked-memory",
		Says: []string{
			"cannot limit locked memory of process …: Operation not permitted", "cannot limit locked memory to …: Operation not permitted",
		},
		Cause: "<locked/> or a passed-through device (<hostdev>, mdev, vDPA) needs more locked memory than QEMU is allowed, and libvirt's daemon cannot raise that limit: it lacks CAP_SYS_RESOURCE, as in a container or in qemu:///session",
		Check: "locked",
		Do:    "give the daemon CAP_SYS_RESOURCE, or LimitMEMLOCK=infinity in its unit; for qemu:///session a memlock of unlimited for the user, in /etc/security/limits.d. Without a passed-through device you can remove <locked/> instead, as huge pages are never swapped out: virsh edit DOMAIN",
	}}
}
