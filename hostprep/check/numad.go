package check

import (
	"path"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
)

// Numad asks whether there is a numad, for a guest whose nodes it is to
// choose. libvirt runs it at every start, and fails where it can't.
var Numad = Check{"numad", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if !g.Demand.Auto {
		return nil, nil
	}
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"} {
		st, err := h.Lstat(path.Join(dir, "numad"))
		if err == nil && st != nil {
			return numadRuns(h, path.Join(dir, "numad"), st)
		}
		if err != nil {
			return nil, err
		}
	}
	return []hostprep.Finding{{
		Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.NumadMissing,
		Have: "numad, which chooses the guest's nodes, is not installed",
		Need: "numad, for placement='auto'",
		Do:   host.Install(h, host.Package{host.UnknownFamily: "numad"}) + ", or name the nodes in <numatune>",
	}}, nil
}}
