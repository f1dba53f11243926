package explain

import (
	"slices"

	"vmhuge/internal/advice"
)

// Rows is the table, root causes before what follows from them. Where rows have
// the same words, what is seen most often comes first.
func Rows() []Row {
	return slices.Concat(connection(), definition(), devices(), mounts(), files(), kernel(), memory())
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
		ID:     "libvirt-down",
		Says:   []string{"Failed to connect socket to …: No such file or directory", "Failed to connect socket to …: Connection refused"},
		Unless: []string{"Failed to connect socket to '/run/user/"},
		Cause:  "no libvirt daemon listens",
		Do:     "start libvirt: systemctl start DAEMON",
	}, {
		ID:    "session-down",
		Says:  []string{"Failed to connect socket to '/run/user/…: No such file or directory", "Failed to connect socket to '/run/user/…: Connection refused"},
		Cause: "the connection is to qemu:///session, but no libvirt daemon of this user is running: it is not installed, or could not start",
		Do:    "virsh -c qemu:///system for the system's guests; else install libvirt-daemon, and journalctl --user -b tells why it does not start",
	}, {
		ID:    "state-lock",
		Says:  []string{"cannot acquire state change lock"},
		Cause: "another operation on the domain has not ended: a start that is still zeroing huge pages, a hook, a migration, or a QEMU that does not answer",
		Do:    "virsh domjobinfo DOMAIN, and wait; a large guest on huge pages may take minutes to start (vmhuge enable --threads auto DOMAIN makes that shorter)",
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
		ID: "hook-denied",
		Says: []string{
			"Hook script execution failed: …cannot execute binary …: Permission denied",
			"avc: denied {…execute…scontext=…:virtqemud_t:…tcontext=…:virt_hook_t:", "avc: denied {…execute…scontext=…:virtd_t:…tcontext=…:virt_hook_t:",
			"avc: denied {…execute…scontext=…:virtqemud_t:…tcontext=…:virt_etc_rw_t:", "avc: denied {…execute…scontext=…:virtd_t:…tcontext=…:virt_etc_rw_t:",
			"avc: denied {…scontext=…:vmhuge_hook_t:", "avc: denied {…tcontext=…:vmhuge_hook_t:", "avc: denied {…tcontext=…:vmhuge_hook_exec_t:",
		},
		Unless: []string{"avc: denied {…permissive=1"},
		Cause:  "the kernel refused to run a hook that has its x bit (libvirt runs no other): its file system is mounted noexec, a folder above it can't be searched, or SELinux or AppArmor denies it",
		Check:  "hook",
		Do:     "vmhuge hook status asks SELinux and names the cure: as a rule restorecon -R /etc/libvirt/hooks, or the package vmhuge-selinux; else findmnt -T /etc/libvirt/hooks -o OPTIONS, and journalctl -k | grep -i denied",
	}, {
		ID: "hook-cannot-run",
		Says: []string{
			"Hook script execution failed: …unexpected exit status 126", "Hook script execution failed: …unexpected exit status 127",
			"Hook script execution failed: …Exec format error",
		},
		Unless: []string{"cannot execute binary …: Permission denied"},
		Cause:  "a hook can't be run: it has no #! line, or names an interpreter that is not there; libvirt runs every file in qemu.d, editors' copies too",
		Do:     "ls -la /etc/libvirt/hooks/qemu.d, and move out what is no hook",
	}, {
		ID:    "hook-killed",
		Says:  []string{"Hook script execution failed: …unexpected fatal signal"},
		Cause: "a hook was killed",
		Do:    "journalctl -k tells if the kernel was short of memory; run vmhuge start DOMAIN again",
	}, {
		ID:    "hook-allocates",
		Says:  []string{"Not able to allocate all hugepages. Reverting"},
		Cause: "a hook that allocates huge pages itself (alloc_hugepages.sh of the guides on GPU passthrough) found too little memory in one piece, and gave back what it got",
		Check: "hook",
		Do:    "vmhuge start DOMAIN, which compacts memory and frees caches on the way; vmhuge hook install does that at each start, and the scripts that allocate and free them can go",
		Kind:  advice.NoMemory,
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
		Do:    "usermod -a -G kvm USER && systemctl restart DAEMON",
	}, {
		ID: "locked-memory",
		Says: []string{
			"cannot limit locked memory of process …: Operation not permitted", "cannot limit locked memory to …: Operation not permitted",
		},
		Cause: "<locked/> needs a limit that libvirt's daemon may not raise (it lacks CAP_SYS_RESOURCE); huge pages are never swapped out, with or without it",
		Check: "locked",
		Do:    "take <locked/> out of <memoryBacking>: virsh edit DOMAIN",
	}}
}
