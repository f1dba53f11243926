package explain

import (
	"slices"
)

// Rows is the table, root causes before what follows from them. Where rows have
// the same words, what is seen most often comes first.
func Rows() []Row {
	return slices.Concat(connection(), hooks(), access(), definition(), devices(), mounts(), files(), kernel(), memory(), managers(), programs())
}

// connection is what keeps a start from getting as far as the guest's memory.
func connection() []Row {
	of := func(daemons ...string) (sockets []string) {
		for _, daemon := range daemons {
			sockets = append(sockets, "Failed to connect socket to …/"+daemon+"-sock")
		}
		return sockets
	}
	virtqemud := of("virtqemud")
	// A user's daemons, and what QEMU, its agent and swtpm listen on.
	others := []string{"Failed to connect socket to '/run/user/", "Failed to connect socket to …/run/libvirt/qemu/", "Failed to connect socket to …/lib/libvirt/qemu/"}
	return []Row{{
		ID:    "no-permission",
		Says:  []string{"Failed to connect socket to …: Permission denied", "authentication unavailable: no polkit agent", "authentication failed: access denied by policy"},
		Codes: []int{94, 79, 45},
		Cause: "this user is not allowed to use libvirt's socket",
		Do:    "run as root, or join the group libvirt",
	}, {
		ID:     "libvirt-down",
		Says:   []string{"Failed to connect socket to …: No such file or directory", "Failed to connect socket to …: Connection refused"},
		Unless: slices.Concat(virtqemud, of("virtlogd", "virtlockd", "virtnetworkd", "virtstoraged", "virtsecretd", "virtnodedevd", "virtnwfilterd", "virtinterfaced"), others),
		Cause:  "no libvirt daemon is listening",
		Do:     "start libvirt: systemctl start DAEMON",
	}, {
		ID: "virtproxyd-down", Says: []string{"Failed to connect socket to …/libvirt-sock…: No such file or directory", "Failed to connect socket to …/libvirt-sock…: Connection refused"},
		Unless: others,
		Cause:  "where the daemons are split: virtproxyd, which passes libvirt-sock on to virtqemud for older or remote clients, is not listening",
		Do:     "systemctl start virtproxyd.socket, and systemctl enable it for the next boot",
	}, {
		ID: "virtqemud-down", Says: []string{"Failed to connect socket to …/virtqemud-sock…: No such file or directory", "Failed to connect socket to …/virtqemud-sock…: Connection refused"},
		Unless: others,
		Cause:  "the client asks for virtqemud, the QEMU driver's own daemon, and that is not listening; a libvirt in one daemon listens on another socket, libvirt-sock",
		Do:     "systemctl start virtqemud.socket; or, where all of libvirt is one daemon, remote_mode = \"legacy\" in /etc/libvirt/libvirt.conf, or virsh -c 'qemu+unix:///system?mode=legacy'",
	}, {
		ID:     "libvirt-part-down",
		Says:   []string{"Failed to connect socket to PATH-sock…: No such file or directory", "Failed to connect socket to PATH-sock…: Connection refused"},
		Unless: slices.Concat(of("libvirt", "virtqemud"), others),
		Cause:  "one of libvirt's daemons is not listening, the one that the socket is named after: virtlogd and virtlockd serve every guest, virtnetworkd, virtstoraged, virtsecretd, virtnodedevd and virtnwfilterd a part of its XML",
		Do:     "systemctl start UNIT.socket, and systemctl enable it for the next boot; journalctl -b -u UNIT -u UNIT.socket says why it is not running",
	}, {
		ID:    "session-down",
		Says:  []string{"Failed to connect socket to '/run/user/…: No such file or directory", "Failed to connect socket to '/run/user/…: Connection refused"},
		Cause: "the connection is to qemu:///session, but no libvirt daemon of this user is running: it is not installed, or could not start",
		Do:    "virsh -c qemu:///system for the system's guests; else install libvirt-daemon, and journalctl --user -b shows why it does not start",
	}, {
		ID:    "state-lock",
		Says:  []string{"cannot acquire state change lock"},
		Cause: "another operation on the domain has not ended: a start that is still zeroing huge pages, a hook, a migration, or a QEMU that does not answer",
		Do:    "virsh domjobinfo DOMAIN, and wait; a large guest on huge pages may take minutes to start (vmhuge enable --threads auto DOMAIN shortens that)",
	}, {
		ID:    "read-only-connection",
		Says:  []string{"operation forbidden: read only access prevents", "operation forbidden for read only access"},
		Codes: []int{29, 88},
		Cause: "the connection is read-only",
		Do:    "run as root",
	}, {
		ID:    "no-domain",
		Says:  []string{"Domain not found: no domain with matching", "failed to get domain '"},
		Codes: []int{42},
		Cause: "there is no such domain",
		Do:    "virsh list --all shows the domains that exist",
	}}
}
