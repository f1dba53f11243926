package advice

// Denials shows what a security module has denied. Where auditd runs, the kernel gives the
// records to it, and has none of them in its own log.
const Denials = "ausearch -m avc -ts recent, or journalctl -k | grep -i denied"

// Refused is what to do where the system refuses what root may do elsewhere (EACCES, EPERM),
// for a process with that user ID.
func Refused(euid int) string {
	if euid == 0 { // as libvirt's hook is
		return "root may not do it here: it is a container, or SELinux or AppArmor denies it; " + Denials
	}
	return "run vmhuge as root"
}
