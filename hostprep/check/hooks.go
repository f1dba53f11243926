package check

import (
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
)

// Hooks asks whether libvirt may run vmhuge's hook, and lists those that are not vmhuge's.
// libvirt runs them before each start, and any of them may refuse it; that cannot be known in
// advance.
var Hooks = Check{hook.CheckName, func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if !g.System() {
		return nil, nil
	}
	files, err := hook.Files(h)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	ours, err := hook.Find(h, 0)
	if err != nil {
		return nil, err
	}
	if ours.Ours {
		denied, err := hook.Forbidden(h, ours.Path)
		if err != nil {
			return nil, err
		}
		if denied != nil {
			denied.Do += "; or vmhuge hook remove"
			return []hostprep.Finding{*denied}, nil
		}
	}
	var others []string
	for _, f := range files {
		if f.Runs && (!ours.Ours || f.Path != ours.Path) {
			others = append(others, f.Path)
		}
	}
	if len(others) == 0 {
		return nil, nil
	}
	return []hostprep.Finding{{
		Severity: hostprep.Note, Cause: hostprep.ForeignHook,
		Have: "libvirt runs " + strings.Join(others, " and ") + " before the start",
		Need: "a hook that lets the guest start; only the start itself shows that",
		Do:   "nothing; if the start fails, libvirt shows the hook's output",
	}}, nil
}}
