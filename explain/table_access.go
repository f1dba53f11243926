package explain

// access is what QEMU's user, or libvirt's daemon, may not have or do.
func access() []Row {
	// QEMU or libguestfs, run by a user.
	own := []string{"$ qemu-system-", "$ qemu-kvm", "$ kvm ", "libguestfs: ", "qemu:///session"}
	return []Row{{
		ID: "kvm-missing",
		Says: []string{
			"Could not access KVM kernel module: No such file or directory", "Could not access KVM kernel module: No such device",
			"could not find capabilities for domaintype=kvm", "Domain requires KVM, but it is not available",
		},
		Cause: "there is no /dev/kvm",
		Check: "kvm",
		Do:    "switch on virtualization in the firmware, and modprobe kvm_intel (or kvm_amd)",
	}, {
		ID:        "kvm-permission",
		Says:      []string{"Could not access KVM kernel module: Permission denied", "failed to initialize kvm: Permission denied"},
		UnlessAny: own,
		Cause:     "QEMU's user may not open /dev/kvm",
		Check:     "kvm",
		Do:        "usermod -a -G kvm USER && systemctl restart DAEMON",
	}, {
		ID:        "kvm-permission-own",
		Says:      []string{"Could not access KVM kernel module: Permission denied", "failed to initialize kvm: Permission denied"},
		UnlessAny: []string{"Failed to start domain", "Failed to create domain", "Failed to autostart VM", "error: internal error: ", "libvirtError", "libvirtd[", "virtqemud[", "(vm='"},
		Cause:     "whoever ran QEMU, by hand, with libguestfs or in qemu:///session, may not open /dev/kvm",
		Do:        `sudo usermod -a -G kvm "$USER", and log in anew`,
	}, {
		ID: "locked-memory",
		Says: []string{
			"cannot limit locked memory of process …: Operation not permitted", "cannot limit locked memory to …: Operation not permitted",
		},
		Cause: "<locked/> or a passed-through device (<hostdev>, mdev, vDPA) needs more locked memory than QEMU may have, and libvirt's daemon may not raise that limit: it lacks CAP_SYS_RESOURCE, as in a container or in qemu:///session",
		Check: "locked",
		Do:    "give the daemon CAP_SYS_RESOURCE, or LimitMEMLOCK=infinity in its unit; for qemu:///session a memlock of unlimited for the user, in /etc/security/limits.d. <locked/> alone can go instead, as huge pages are never swapped out: virsh edit DOMAIN",
	}}
}
