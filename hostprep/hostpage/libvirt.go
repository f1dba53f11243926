package hostpage

import (
	"fmt"
	"path"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
)

var (
	libvirtPackage = host.Package{host.Debian: "libvirt-daemon-system", host.Fedora: "libvirt-daemon-kvm", host.SUSE: "libvirt-daemon-qemu", host.UnknownFamily: "libvirt"}
	qemuPackage    = host.Package{host.Debian: "qemu-system", host.Fedora: "qemu-kvm", host.SUSE: "qemu", host.Arch: "qemu-base", host.UnknownFamily: "QEMU"}
)

// libvirtCheck shows which daemon has the QEMU driver, whether it runs or starts on
// demand, and its versions if libvirt reported them. A host without libvirt is not at
// fault: vmhuge exec needs none.
var libvirtCheck = hostCheck{"libvirt", func(h host.Host, g anyGuest) ([]Fact, error) {
	qemu, err := qemuFact(h, g.told)
	if err != nil {
		return nil, err
	}
	installed, err := libvirtd.Installed(h)
	if err != nil {
		return []Fact{qemu}, err
	}
	if !installed {
		return []Fact{off(hostprep.Note, "libvirt", "not installed", "libvirt, to define and start guests", host.Install(h, libvirtPackage)+", or use vmhuge exec"), qemu}, nil
	}
	daemon, err := libvirtd.ReadDaemon(h)
	if err != nil {
		return []Fact{qemu}, err
	}
	if daemon != nil {
		have := fmt.Sprintf("%s (process %d) has been running since %s", daemon.Name, daemon.PID, daemon.Started.UTC().Format(time.DateTime+" MST"))
		switch {
		case g.told.Err != nil:
			return []Fact{off(hostprep.Warning, "libvirt", have+", but does not respond: "+g.told.Err.Error(), "a response", "journalctl -u "+daemon.Name), qemu}, nil
		case g.told.Version != 0:
			have = hostprep.VersionText(g.told.Version) + ", " + have
		}
		return []Fact{fine("libvirt", have), qemu}, nil
	}
	listening, err := libvirtd.Listening(h)
	if err != nil {
		return []Fact{qemu}, err
	}
	if listening != "" {
		return []Fact{fine("libvirt", listening+" starts on demand (socket activation)"), qemu}, nil
	}
	name := libvirtd.Name(h)
	return []Fact{off(hostprep.Warning, "libvirt", "installed, but "+name+" does not run", name+" running, or its socket", "systemctl start "+name), qemu}, nil
}}

// qemuFact is the version that libvirt reported, or the path of an installed QEMU.
func qemuFact(h host.Host, told Libvirt) (Fact, error) {
	if told.QEMU != 0 {
		return fine("QEMU", hostprep.VersionText(told.QEMU)), nil
	}
	for _, dir := range []string{"/usr/bin", "/usr/libexec", "/usr/local/bin"} {
		for _, name := range []string{"qemu-system-" + host.Machine(), "qemu-kvm"} {
			file := path.Join(dir, name)
			if st, err := h.Lstat(file); err != nil || st != nil {
				return fine("QEMU", file+", version unknown (libvirt did not report it)"), err
			}
		}
	}
	return off(hostprep.Note, "QEMU", "not found", "qemu-system-"+host.Machine(), host.Install(h, qemuPackage)), nil
}

// hookCheck says whether libvirt calls vmhuge when another program starts a guest.
var hookCheck = hostCheck{"hook", func(h host.Host, _ anyGuest) ([]Fact, error) {
	if libvirt, err := libvirtd.Installed(h); err != nil || !libvirt {
		return nil, err
	}
	s, err := hook.ReadStatus(h)
	if err != nil {
		return nil, err
	}
	facts := []Fact{fine("hook", s.String())}
	for _, f := range s.Findings {
		worst := hostprep.Warning // a hook that libvirt does not call keeps no guest from starting
		if f.Cause == hostprep.HookDenied {
			worst = hostprep.Blocker
		}
		facts = append(facts, of("hook", []hostprep.Finding{f}, worst)...)
	}
	return facts, nil
}}

// hookWritesCheck is HookWrites for the host alone: the hooks of all guests.
var hookWritesCheck = hostCheck{"hook", func(h host.Host, g anyGuest) ([]Fact, error) {
	findings, err := check.HookWrites.Detect(h, g.Guest)
	return of("hook", findings, hostprep.Warning), err
}}
