package explain

import (
	"slices"

	"vmhuge/internal/advice"
)

// mounts is what is wrong with a hugetlbfs, or with the folders on it.
func mounts() []Row {
	// Older libvirt, before 1.2.12, has the two halves apart.
	notMounted := []string{"hugetlbfs filesystem is not mounted or disabled by administrator config", "hugetlbfs filesystem is not mounted¶"}
	const sizeNotMounted = "Unable to find any usable hugetlbfs mount for … KiB"
	// libvirt 7.0 leaves the memory out where it has no mount for it.
	const noBackend = "Memory backend '…' not found"
	// A line that is cut off before its reason.
	const noReason = "can't open backing store PATH for guest RAM¶"
	folder := []string{
		"can't open backing store PATH for guest RAM: Permission denied", "can't create backing store PATH for guest RAM: Permission denied",
		"unable to create backing store for path PATH: Permission denied", "unable to create backing store for hugepages: Permission denied",
		noReason,
	}
	const older = "QEMU before 2.5: can't create, unable to create backing store"
	return []Row{{
		ID: "conf-refused", Says: []string{
			"configuration file syntax error: …qemu.conf:…", "…qemu.conf: expected a string for '…' parameter", "…qemu.conf: expected a string list for '…' parameter",
		},
		Cause: "libvirt cannot read qemu.conf, and does not start its QEMU driver: virsh then finds no daemon, or no connection driver for qemu:///system",
		Check: "qemu-conf", Do: "correct the line that the message names && systemctl restart DAEMON",
	}, {
		ID: "conf-empty-mount", Says: []string{"cannot determine filesystem for ''"},
		Versions: "libvirt 9.0",
		Cause:    `hugetlbfs_mount = "" in qemu.conf, though it is documented, keeps the QEMU driver from starting`,
		Check:    "mount", Do: "write hugetlbfs_mount = [] in /etc/libvirt/qemu.conf && systemctl restart DAEMON",
	}, {
		ID: "over-mounted", Says: []string{"not a hugetlbfs mount: PATH"},
		Cause: "something else is mounted over a hugetlbfs, or hugetlbfs_mount in qemu.conf names a path that is not on one, and the QEMU driver does not start",
		Check: "mount", Do: "umount what findmnt PATH shows above it, or take PATH out of hugetlbfs_mount; then systemctl restart DAEMON",
	}, {
		ID: "dev-mounted-twice", Says: []string{"Cannot delete directory '…/libvirt/qemu/…': Device or resource busy"},
		Cause: "libvirt could not make QEMU's own /dev: the host's is mounted twice, as in a container, and something is mounted below the first mount in it (by name)",
		Check: "/dev", Do: "umount the inner mount that findmnt -R /dev shows; or write namespaces = [] in /etc/libvirt/qemu.conf && systemctl restart DAEMON",
	}, {
		ID: "mount-late", Says: append([]string{sizeNotMounted, noBackend}, notMounted...),
		Cause: "the hugetlbfs was mounted after libvirt's daemon started, which reads the mounts only once",
		Check: "mount", Do: "systemctl restart DAEMON, or vmhuge enable --source memfd DOMAIN && vmhuge start DOMAIN, which needs no mount",
	}, {
		ID: "mount-missing", Says: append([]string{sizeNotMounted, noBackend, "hugepages are disabled by administrator config", "unable to find hugetlbfs mountpoint"}, notMounted...),
		Cause: "no hugetlbfs with pages of this size is mounted, or qemu.conf leaves it out",
		Check: "mount", Do: "vmhuge start DOMAIN mounts it; or vmhuge enable --source memfd DOMAIN && vmhuge start DOMAIN, which needs no mount",
	}, {
		ID: "session-mount", Says: notMounted,
		Cause: "qemu:///session does not look for mounts: it knows only the ones in the user's qemu.conf",
		Check: "mount", Do: "vmhuge -c qemu:///session enable --source memfd DOMAIN",
	}, {
		ID: "session-folder", Says: []string{"Unable to create PATH: Permission denied", "unable to create hugepage path PATH: Permission denied"}, On: huge,
		Cause: "the user cannot create folders there: a guest of qemu:///system has made libvirt's first",
		Check: "mount", Do: "vmhuge -c qemu:///session enable --source memfd DOMAIN",
	}, {
		ID: "mount-read-only", Says: []string{
			"unable to create hugepage path PATH: Read-only file system", "Unable to create PATH: Read-only file system",
			"can't open backing store PATH for guest RAM: Read-only file system", "unable to create backing store for path PATH: Read-only file system",
			"unable to create backing store for hugepages: Read-only file system", "unable to set user and group to '…' on 'PATH': Read-only file system",
		}, On: huge,
		Cause: "a hugetlbfs is mounted read-only; libvirt makes a folder for each guest on every one that it knows",
		Check: "mount", Do: "findmnt -T PATH shows the mount; mount -o remount,rw that (vmhuge check names it)",
	}, {
		ID: "mount-inodes", Says: []string{
			"can't open backing store PATH for guest RAM: No space left on device", "unable to create hugepage path PATH: No space left on device",
			"Unable to create PATH: No space left on device", "unable to create backing store for path PATH: No space left on device",
			"unable to create backing store for hugepages: No space left on device",
		}, On: huge,
		Cause: "the hugetlbfs is mounted with nr_inodes=, and all are in use",
		Check: "mount", Do: "findmnt -T PATH shows the mount (vmhuge check names it): umount that, and mount it again without nr_inodes=",
	}, {
		ID: "mount-vanished", Says: []string{
			"can't open backing store PATH for guest RAM: No such file or directory", "unable to create hugepage path PATH: No such file or directory",
			"Unable to create PATH: No such file or directory", "unable to create backing store for path PATH: No such file or directory",
			"unable to create backing store for hugepages: No such file or directory", noReason,
		}, On: []Place{GuestFolder},
		Cause: "the hugetlbfs that libvirt knows is not mounted any more, or something is mounted over it",
		Check: "mount", Do: "vmhuge start DOMAIN mounts it again",
	}, {
		ID: "dev-hidden", Says: []string{"can't open backing store PATH for guest RAM: No such file or directory"}, On: []Place{GuestFolder},
		Versions: "libvirt before 8.8",
		Cause:    "the host's /dev is mounted twice, as in a container, and libvirt hides from QEMU what is mounted below it",
		Check:    "/dev", Do: "write namespaces = [] in /etc/libvirt/qemu.conf && systemctl restart DAEMON; or vmhuge enable --source memfd DOMAIN && vmhuge start DOMAIN",
	}, {
		ID: "path-missing", Says: []string{
			"can't open backing store PATH for guest RAM: No such file or directory", "unable to create backing store for path PATH: No such file or directory",
			"unable to create backing store for hugepages: No such file or directory", noReason,
		}, On: []Place{MountRoot, HugeFile},
		Cause: "QEMU was started without libvirt, and the folder that its mem-path is in is not there: no hugetlbfs was mounted on it since boot, or it is misspelled",
		Do:    "findmnt -t hugetlbfs shows the existing mounts: correct mem-path; or vmhuge exec -- qemu-system-x86_64 …, which needs no mount",
	}, {
		ID: "folder-mode", Says: folder, On: []Place{GuestFolder}, Versions: older,
		Cause: "a folder between the mount and the guest's own can't be searched by QEMU's user: made under umask 077, by an older libvirt, or by chmod",
		Check: "path", Do: "vmhuge start DOMAIN fixes it; or namei -l PATH shows which folder it is, and chmod 0755 that one",
	}, {
		ID: "folder-stale", Says: folder, On: []Place{GuestFolder}, Versions: older,
		Cause: "a folder of an earlier start, which a crash left behind, has another owner, and libvirt takes it as it is",
		Check: "path", Do: "vmhuge start DOMAIN removes it; or rmdir PATH",
	}, {
		ID: "folder-of-root", Says: folder, On: []Place{MountRoot, HugeFile}, Versions: older,
		Cause: "QEMU was started by a user, without libvirt, and only root can write to the mount",
		Do:    "vmhuge exec -- qemu-system-x86_64 …, which needs no mount; or vmhuge prepare --user NAME, which makes a folder for that user",
	}, {
		ID: "security-module",
		Says: slices.Concat(folder, []string{
			"unable to create hugepage path PATH: Permission denied", "Unable to create PATH: Permission denied",
			"Unable to set huge path in security driver", "unable to map backing store for guest RAM: Permission denied",
			`apparmor="DENIED" … profile="libvirt-…" name="PATH" pid=`,
			`avc: denied {…dev="hugetlbfs"…scontext=…:svirt_`, `avc: denied {…dev="hugetlbfs"…scontext=…:virtqemud_t:`,
			`avc: denied {…dev="hugetlbfs"…scontext=…:virtd_t:`, `avc: denied {…scontext=…:svirt_…tcontext=…:hugetlbfs_t:`,
			`avc: denied {…scontext=…:virtqemud_t:…tcontext=…:hugetlbfs_t:`, `avc: denied {…scontext=…:virtd_t:…tcontext=…:hugetlbfs_t:`,
			`avc: denied {…comm="qemu…dev="hugetlbfs"…scontext=`,
			"SELinux is preventing …qemu… from … on the … PATH", "SELinux is preventing …virtqemud from … on the … PATH", "SELinux is preventing …libvirtd from … on the … PATH",
			"unable to set security context '…' on 'PATH': Permission denied", "unable to set security context '…' on 'PATH': Operation not permitted",
		}),
		On: huge, Unless: []string{"avc: denied {…permissive=1"}, Versions: older,
		Cause: "AppArmor or SELinux denies it",
		Do:    "as root, vmhuge explain shows what was denied, and what to do about it; if the logs have nothing, try the other source: vmhuge enable --source memfd DOMAIN (or file) && vmhuge start DOMAIN",
	}, {
		ID: "apparmor-memfd", Says: []string{
			"failed to resize memfd to …: Permission denied", `apparmor="DENIED" … profile="libvirt-…" name="/" pid=`,
			`apparmor="DENIED" … profile="libvirt-…" name="memfd:…" pid=`, `apparmor="DENIED" … profile="libvirt-…" name="/memfd:…" pid=`,
		},
		Cause: "AppArmor keeps QEMU from writing to a memfd on huge pages: to AppArmor its path is /, which libvirt's rules let QEMU only read",
		Check: "apparmor", Do: "vmhuge start DOMAIN adds the rule / rw, to /etc/apparmor.d/local/abstractions/libvirt-qemu; or vmhuge enable --source file DOMAIN",
	}, {
		ID: "chown-refused", Says: []string{"unable to set user and group to '…' on 'PATH': Operation not permitted"},
		On:    huge,
		Cause: "libvirt's daemon cannot give the guest's folder to QEMU's user: it runs without CAP_CHOWN, as in a container or as an ordinary user",
		Do:    "give the daemon CAP_CHOWN, or let QEMU run as the daemon's own user (user, group and dynamic_ownership in qemu.conf); or vmhuge enable --source memfd DOMAIN && vmhuge start DOMAIN",
	}, {
		ID: "path-not-hugetlbfs", Says: []string{"path not on HugeTLBFS: PATH"},
		Versions: "QEMU before 2.5, as a warning",
		Cause:    "no hugetlbfs is mounted where QEMU was told to put its memory: the guest runs on ordinary pages",
		Check:    "mount", Do: "vmhuge start DOMAIN mounts it",
	}, {
		ID: "path-is-folder", Says: []string{"can't open backing store PATH for guest RAM: Is a directory", "unable to map backing store for guest RAM: No such device"},
		Versions: "No such device: QEMU before 8.2",
		Cause:    "QEMU was told to open a folder as if it were a file: with readonly=on, mem-path must be a file; No such device also says that the file, or its file system, can't be mapped",
		Do:       "name a file below it as mem-path, or remove readonly=on; plain QEMU: vmhuge exec -- qemu-system-x86_64 …, which needs no path",
	}}
}

// files is what is wrong with memory that is a file, but none of huge pages.
func files() []Row {
	const noReason = "can't open backing store PATH for guest RAM¶"
	const opening = "can't open backing store PATH for guest RAM: "
	return []Row{{
		ID: "kvmfr", Says: []string{
			opening + "Permission denied", opening + "Operation not permitted", opening + "No such file or directory", opening + "No such device",
			"unable to map backing store for guest RAM: Operation not permitted", "unable to map backing store for guest RAM: Invalid argument",
		},
		On:    []Place{Looking},
		Cause: "the device of Looking Glass is missing, or QEMU's user has no access to it, or it is smaller than the memory that it must hold; this has nothing to do with huge pages",
		Do:    "modprobe kvmfr static_size_mb=…; add a udev rule that gives it to the group kvm, and its name in cgroup_device_acl of /etc/libvirt/qemu.conf and in AppArmor's local/abstractions/libvirt-qemu",
	}, {
		ID: "file-denied", Says: []string{noReason, opening + "Permission denied", opening + "Operation not permitted", "can't create backing store PATH for guest RAM: Permission denied"},
		On:    plain,
		Cause: "the guest's memory is a file there, which is not on a hugetlbfs, and QEMU's user cannot open it, or AppArmor or SELinux denies it",
		Do:    "namei -l PATH shows the permissions; " + advice.Denials + " shows what a security module denied",
	}, {
		ID: "file-missing", Says: []string{noReason, opening + "No such file or directory"},
		On:    plain,
		Cause: "the file for the memory, an NVDIMM's or file-backed memory, does not exist, nor does its folder; it is not on a hugetlbfs",
		Do:    "make the file with the size that <memory> or the device names (truncate -s SIZE PATH), or correct its path: virsh edit DOMAIN",
	}, {
		ID: "file-size", Says: []string{"backing store size 0x… is too small for 'size' option", "backing store size 0x… does not match 'size' option", "backing store align 0x… is larger than 'align' option"},
		Cause: "the file that is the guest's memory, or an NVDIMM's, has another size or alignment than its device",
		Do:    "truncate -s SIZE the file to the size that the device names, or correct the device's <size> (and <alignsize>): virsh edit DOMAIN",
	}, {
		ID: "file-full", Says: []string{opening + "No space left on device", opening + "Disk quota exceeded"},
		On:    plain,
		Cause: "the file system that holds the guest's memory, which is not a hugetlbfs, is full",
		Do:    "df -h PATH, df -i PATH; remove what earlier guests left there, or mount -o remount,size=… where it is a tmpfs",
	}, {
		ID: "file-read-only", Says: []string{opening + "Read-only file system"},
		On:    plain,
		Cause: "the file system that holds the guest's memory, which is not a hugetlbfs, is mounted read-only",
		Do:    "findmnt -T PATH, and mount -o remount,rw what it shows; or a device with readonly=on",
	}, {
		ID: "file-map", Says: []string{"unable to map backing store for guest RAM: Cannot allocate memory", "preallocating memory failed: Bad address", "Insufficient free host memory pages available to allocate guest RAM"},
		On:    plain,
		Cause: "the guest's memory is a file that is not on huge pages, and there is not enough memory or address space for it: the tmpfs's size, ulimit -v, or vm.overcommit_memory=2; or (Bad address) the file is shorter than the memory",
		Do:    "df -h PATH, ls -l PATH; ulimit -v; sysctl vm.overcommit_memory; or vmhuge enable DOMAIN, for huge pages",
	}}
}
