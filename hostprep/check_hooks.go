package hostprep

import "strings"

// hooksCheck tells of hooks that are not vmhuge's. libvirt runs them before each
// start, and any may refuse it, which nobody can know before.
var hooksCheck = Check{"hook", func(h Host, g Guest) ([]Finding, error) {
	if !g.system() {
		return nil, nil
	}
	files, err := h.hookFiles()
	if err != nil || len(files) == 0 {
		return nil, err
	}
	ours, err := h.findHook(0)
	if err != nil {
		return nil, err
	}
	var others []string
	for _, f := range files {
		if f.runs && (!ours.ours || f.path != ours.path) {
			others = append(others, f.path)
		}
	}
	if len(others) == 0 {
		return nil, nil
	}
	return []Finding{{
		Severity: Note, Cause: ForeignHook,
		Have: "libvirt runs " + strings.Join(others, " and ") + " before the start",
		Need: "that it lets the guest start, which only the start itself can tell",
		Do:   "nothing; should the start fail, libvirt shows what the hook has said",
	}}, nil
}}
