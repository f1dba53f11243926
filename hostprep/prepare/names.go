package prepare

import (
	"errors"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
)

// unknownNames finds the users and groups of a preparation that this host does not
// have. Nothing else is begun then: pages and mounts would be for nobody.
func unknownNames(h host.Host, p Options) ([]hostprep.Finding, error) {
	var findings []hostprep.Finding
	lacks := func(kind, name, flag, create string) {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: "there is no " + kind + " " + name,
			Need: "a " + kind + " for " + flag, Do: create + " " + name + ", or name another"})
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
