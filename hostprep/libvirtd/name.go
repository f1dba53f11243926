package libvirtd

import (
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/hostfs"
)

// socketOf is a socket on which a daemon listens, or systemd for it.
type socketOf struct{ name, daemon string }

// sockets are those of the daemons. Where they are split, libvirt-sock is virtproxyd's: so
// virtqemud's comes first.
var sockets = []socketOf{
	{"virtqemud-sock", "virtqemud"},
	{"libvirt-sock", "libvirtd"},
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

// Socket is what the socket of that daemon is called.
func Socket(h host.Host) string {
	name := Name(h)
	i := slices.IndexFunc(sockets, func(s socketOf) bool { return s.daemon == name })
	return sockets[i].name
}

// Listening is the daemon whose socket listens, so that a client starts it; "": none.
func Listening(h host.Host) (string, error) { return listeningIn(h, h.Root.Libvirt().Run) }

func listeningIn(h host.Host, run string) (string, error) {
	listed, err := listeningAt(h)
	if err != nil {
		return "", err
	}
	for _, s := range sockets {
		socket := path.Join(hostfs.Libvirt{Run: run}.StateDir(), s.name)
		st, err := h.Lstat(socket) // /proc/net/unix also lists sockets of other mount namespaces
		if err != nil {
			return "", err
		}
		if st == nil || !slices.Contains(listed, socket) {
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

// listeningAt lists the paths of all sockets.
func listeningAt(h host.Host) ([]string, error) {
	// 0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/libvirt/libvirt-sock
	listed, err := h.ReadIfThere("/proc/net/unix")
	var paths []string
	for line := range strings.Lines(listed) {
		if at := strings.IndexByte(line, '/'); at > 0 {
			paths = append(paths, strings.TrimSuffix(line[at:], "\n"))
		}
	}
	return paths, err
}

// ProgramDirs are where packages put a daemon's program.
var ProgramDirs = []string{"/usr/sbin", "/usr/bin"}

// isProgram says whether a daemon's program is there.
func isProgram(h host.Host, name string) bool {
	return slices.ContainsFunc(ProgramDirs, func(dir string) bool {
		st, _ := h.Lstat(path.Join(dir, name))
		return st != nil
	})
}
