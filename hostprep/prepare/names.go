package prepare

import (
	"errors"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/shell"
)

// unknownNames finds the users and groups of a preparation that this host does not
// have. Nothing else is begun then: pages and mounts would be for nobody.
func unknownNames(h host.Host, p Options) ([]hostprep.Finding, error) {
	var findings []hostprep.Finding
	lacks := func(kind, name, flag, create string) {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: "there is no " + kind + " " + name,
			Need: "a " + kind + " for " + flag, Do: create + " " + name + ", or name another"})
	}
	if isGuest, err := isGuest(h, p.For); err != nil {
		return nil, err
	} else if isGuest && p.For != "" && p.Pages[0].Pages > 0 {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: p.For + " is a guest: no guest can take pages that --for reserves, not even that one",
			Need: "a program that is not a guest", Do: "vmhuge prepare " + shell.Quote(p.For) + " gets the pages that the guest lacks"})
	}
	if p.User != "" {
		if _, err := h.User(p.User, ""); errors.Is(err, host.ErrNoUser) {
			lacks("user", p.User, "--user", "useradd -m")
		} else if err != nil {
			return nil, err
		}
	}
	for _, group := range []struct{ name, flag string }{{p.MountGroup, "--mount-group"}, {p.ShmGroup, "--shm-group"}} {
		if group.name == "" {
			continue
		}
		if _, err := h.Group(group.name); errors.Is(err, host.ErrNoGroup) {
			lacks("group", group.name, group.flag, "groupadd --system")
		} else if err != nil {
			return nil, err
		}
	}
	return findings, nil
}

// isGuest says whether libvirt has a domain of that name, as its files show.
func isGuest(h host.Host, name string) (bool, error) {
	if name == "" || strings.Contains(name, "/") {
		return false, nil
	}
	st, err := h.Lstat(h.Root.Libvirt().ConfDir() + "/qemu/" + name + ".xml")
	return st != nil, err
}
