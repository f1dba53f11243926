package libvirtd

import (
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
)

// sockets are those on which the daemons listen, or systemd for them. Where the daemons are
// split, libvirt-sock is virtproxyd's: so virtqemud's comes first.
var sockets = []struct{ path, daemon string }{
	{"/run/libvirt/virtqemud-sock", "virtqemud"},
	{"/run/libvirt/libvirt-sock", "libvirtd"},
}

// enabled are what systemd and OpenRC keep of a unit or service that starts at boot.
var enabled = []struct{ path, daemon string }{
	{"/etc/systemd/system/sockets.target.wants/virtqemud.socket", "virtqemud"},
	{"/etc/systemd/system/multi-user.target.wants/virtqemud.service", "virtqemud"},
	{"/etc/runlevels/default/virtqemud", "virtqemud"},
	{"/etc/systemd/system/sockets.target.wants/libvirtd.socket", "libvirtd"},
	{"/etc/systemd/system/multi-user.target.wants/libvirtd.service", "libvirtd"},
	{"/etc/runlevels/default/libvirtd", "libvirtd"},
}

// Name is the daemon that has the system's QEMU driver here, which is also the name of its
// unit: libvirtd or virtqemud. The one that runs counts first, then the one whose socket
// listens, then the one that starts at boot, then the one that alone is installed. It is for
// texts: what can't be read tells nothing, and libvirtd is the name where nothing tells.
func Name(h host.Host) string {
	if d, _ := ReadDaemon(h); d != nil {
		return d.Name
	}
	if name, _ := Listening(h); name != "" {
		return name
	}
	for _, e := range enabled {
		if st, _ := h.Lstat(e.path); st != nil {
			return e.daemon
		}
	}
	if isProgram(h, "virtqemud") && !isProgram(h, "libvirtd") {
		return "virtqemud"
	}
	return "libvirtd"
}

// Listening is the daemon whose socket listens, so that a client starts it; "": none.
func Listening(h host.Host) (string, error) {
	// 0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/libvirt/libvirt-sock
	listed, err := h.ReadIfThere("/proc/net/unix")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(listed)
	for _, s := range sockets {
		st, err := h.Lstat(s.path) // /proc/net/unix also lists sockets of other mount namespaces
		if err != nil {
			return "", err
		}
		if st == nil || !slices.Contains(fields, s.path) {
			continue
		}
		proxy, err := h.Lstat("/etc/systemd/system/sockets.target.wants/virtproxyd.socket")
		if err == nil && proxy != nil && s.daemon == "libvirtd" {
			continue // virtproxyd has no driver of its own
		}
		return s.daemon, err
	}
	return "", nil
}

// isProgram says whether a daemon's program is installed where packages put it.
func isProgram(h host.Host, name string) bool {
	return slices.ContainsFunc([]string{"/usr/sbin", "/usr/bin"}, func(dir string) bool {
		st, _ := h.Lstat(path.Join(dir, name))
		return st != nil
	})
}
