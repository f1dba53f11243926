package explain

import (
	"slices"

	"vmhuge/internal/advice"
)

// ofHooks are the words of a text about libvirt's hooks, and ofSession about a user's daemon,
// which runs the system's hooks as well.
var (
	ofHooks   = []string{"Hook script execution failed", "/libvirt/hooks/", "vmhuge-hook"}
	ofSession = []string{"qemu:///session", "/run/user/", "/.config/libvirt/", "HOME=/home/"}
)

// hooks is what libvirt says of the programs in libvirt/hooks, and they themselves.
func hooks() []Row {
	// Bash names the line after the word line, dash and others the number alone.
	missing := []string{"/etc/libvirt/hooks/…: command not found", "unexpected exit status 127: /…: …: not found", "unexpected exit status 127: /…: line …: /…: No such file or directory"}
	// What libvirt calls hooks for when there is no start to refuse.
	var after []string
	for _, operation := range []string{"stopped end", "release end"} {
		after = append(after, "Hook script execution failed…/libvirt/hooks/… "+operation)
	}
	again := []string{"Hook script execution failed…/libvirt/hooks/… reconnect begin -)"}
	denied := []string{"unexpected exit status 126: /…: …: /…: Permission denied"}
	return []Row{{
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
		Do:     "vmhuge hook status asks SELinux and says what to do, usually restorecon -R /etc/libvirt/hooks, or the package vmhuge-selinux; else findmnt -T /etc/libvirt/hooks -o OPTIONS, and " + advice.Denials,
	}, {
		ID: "hook-command-missing", Says: missing,
		Unless: []string{"bad interpreter"},
		Cause:  "the hook ran, and a command that it calls is not there, or not in the PATH that libvirt's daemon gives it, which the message shows",
		Do:     "INSTALL the package that has the command, or write its full path in the hook",
	}, {
		ID: "hook-script-denied", Says: denied,
		Cause: "the hook ran, but could not execute the script that it calls: it has no x bit, is on a file system that is mounted noexec, or SELinux denies it",
		Do:    "chmod +x the script that the message names last; if it has its x bit, findmnt -T that, and " + advice.Denials,
	}, {
		ID: "hook-cannot-run",
		Says: []string{
			"Hook script execution failed: …unexpected exit status 126", "Hook script execution failed: …unexpected exit status 127",
			"Hook script execution failed: …Exec format error",
		},
		Unless:    []string{"cannot execute binary …: Permission denied"},
		UnlessAny: slices.Concat(missing, denied),
		Cause:     "a hook can't be run: it has no #! line, or names an interpreter that is not there; libvirt runs every file in qemu.d, editors' copies too",
		Do:        "ls -la /etc/libvirt/hooks/qemu.d, and move out what is not a hook",
	}, {
		ID:     "hook-killed",
		Says:   []string{"Hook script execution failed: …unexpected fatal signal", "Hook script execution failed: …unexpected exit status 137"},
		Unless: slices.Concat(after, again),
		Cause:  "a hook was killed",
		Do:     "journalctl -k shows whether the kernel was short of memory; run vmhuge start DOMAIN again",
	}, {
		ID:    "hook-allocates",
		Says:  []string{"Not able to allocate all hugepages. Reverting"},
		Cause: "a hook that allocates huge pages itself (alloc_hugepages.sh from GPU passthrough guides) found too little memory in one piece, and freed what it got",
		Check: "hook",
		Do:    "vmhuge start DOMAIN, which compacts memory and frees caches on the way; with vmhuge hook install that happens at each start, and you can remove the scripts that allocate and free them",
		Kind:  advice.NoMemory,
	}, {
		ID: "pool-denied-session", Says: slices.Concat(poolRefused("Permission denied"), poolRefused("Operation not permitted")), With: ofSession,
		Cause: "a session daemon of libvirt (qemu:///session) runs the system's hooks as the user, and only root may set the size of a pool",
		Do:    "sudo vmhuge prepare --pages N --size SIZE before the start; or run the guest in qemu:///system. The hook should exit with 0 if id -u is not 0",
	}, {
		ID: "pool-read-only-hook", Says: poolRefused("Read-only file system"), With: ofHooks,
		Cause: "a hook cannot set the size of a pool, as libvirt's daemon sees /proc/sys and /sys read-only: it is in a container, or its unit has ProtectKernelTunables=yes",
		Do:    "systemd-detect-virt --container shows whether it is a container: then set the pool on its host (vmhuge prepare --pages N --size SIZE), and remove the hook. Else systemctl edit DAEMON, with ProtectKernelTunables=no in [Service]",
	}, {
		ID: "pool-denied-hook", Says: slices.Concat(poolRefused("Permission denied"), poolRefused("Operation not permitted")), With: ofHooks, UnlessAny: ofSession,
		Cause: "a hook cannot set the size of a pool, though the daemon of qemu:///system runs it as root: the daemon is in a container without the host's root, SELinux or AppArmor denies it, or it was a session daemon (qemu:///session), which runs hooks as its user",
		Do:    "systemd-detect-virt --container shows whether it is a container, whose pools only the host can set; " + advice.Denials + " shows what a security module denied: restorecon -R /etc/libvirt/hooks, or the package vmhuge-selinux; virsh uri shows which daemon it was",
	}, {
		ID: "hook-record", Says: []string{
			"changing the page pools: …/run/vmhuge…: permission denied", "changing the page pools: …/run/vmhuge…: operation not permitted", "changing the page pools: …/run/vmhuge…: read-only file system",
		}, With: ofHooks,
		Cause: "vmhuge's hook cannot write its account of the pages, in /run/vmhuge, and changes no pool without it: libvirt's daemon is in a container, its unit is confined (ProtectSystem=), or SELinux or AppArmor denies it",
		Do:    "vmhuge hook status asks SELinux; systemctl show -p ProtectSystem,ReadWritePaths,InaccessiblePaths DAEMON, and ReadWritePaths=/run/vmhuge by systemctl edit DAEMON; " + advice.Denials,
	}, {
		ID:    "hook-after",
		Says:  after,
		Cause: "a hook failed after the guest had ended (stopped, release): no start was refused. The text after its exit status is its own, and 137 says that it was killed; what it gives back, such as devices or pages, may be as the guest had it",
		Do:    "do what the hook says, and by hand what it did not get to; vmhuge hook status shows the state of vmhuge's own",
	}, {
		ID:    "hook-reconnect",
		Says:  again,
		Cause: "a hook failed for a guest that was running when libvirt's daemon was restarted (reconnect): no start was refused, but libvirt ends such a guest. The text after its exit status is the hook's own, and 137 says that it was killed",
		Do:    "make the hook exit with 0 for reconnect, whatever happens, before the daemon is restarted again; then vmhuge start DOMAIN",
	}, {
		ID:     "hook-refused",
		Says:   []string{"Hook script execution failed: …unexpected exit status", "Hook script execution failed"},
		Unless: slices.Concat(after, again),
		Codes:  []int{70},
		Cause:  "one of libvirt's hooks failed, and libvirt gave up what it called it for: a start (prepare, start, started), an incoming migration (migrate) or a restore. The text after its exit status is the hook's own",
		Check:  "hook",
		Do:     "do what the hook says; vmhuge hook status shows the state of vmhuge's own",
	}}
}
