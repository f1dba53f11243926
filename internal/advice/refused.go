package advice

// Refused is what to do where the system refuses what root may do elsewhere (EACCES, EPERM),
// for a process with that user ID.
func Refused(euid int) string {
	if euid == 0 { // as libvirt's hook is
		return "root may not do it here: it is a container, or SELinux or AppArmor denies it; journalctl -k | grep -i denied"
	}
	return "run vmhuge as root"
}
