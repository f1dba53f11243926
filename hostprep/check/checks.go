// Package check finds what keeps a guest from starting on huge pages. It never writes.
package check

import (
	"cmp"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// Checks lists every check, in the order of their findings.
func Checks() []Check {
	return []Check{
		PageSize, KVM, KVMPages, OrdinaryMemory, Locked, Numad, EmulatorPin, AppArmor, SELinux, QEMUConf,
		Mount, Path, Covered, DevMounts, Cgroup, MemoryCgroup, Pool, THP, Hooks, HookWrites,
	}
}

// Run asks every check. A check that fails is itself a finding, never silence. Without
// problems the findings are empty, not nil.
func Run(h host.Host, g hostprep.Guest) []hostprep.Finding {
	findings := ask(h, g, Checks())
	leaveToScripts(findings)
	return findings
}

// RunMounts asks the checks of the mounts and of the folders on them: apart from pages,
// these are what can be fixed while a guest starts.
func RunMounts(h host.Host, g hostprep.Guest) []hostprep.Finding {
	h = h.EnsureSnapshot()
	checks := []Check{Mount, Path}
	if d, err := Driver(h, g); err == nil && len(unmounted(d, g)) > 0 {
		checks = append(checks, PageSize) // of a size that the kernel lacks there can't be a mount
	}
	return ask(h, g, checks)
}

// FoundBy says whether a finding is one of these checks'.
func FoundBy(f hostprep.Finding, checks ...Check) bool {
	return slices.ContainsFunc(checks, func(c Check) bool { return c.Name == f.Check })
}

func ask(h host.Host, g hostprep.Guest, checks []Check) []hostprep.Finding {
	all := []hostprep.Finding{}
	h = h.EnsureSnapshot()
	for _, check := range checks {
		findings, err := check.Detect(h, g)
		if err != nil {
			findings = append(findings, CouldNotTell(h, g, err))
		}
		for _, f := range findings {
			if RefusesConf(f) && slices.ContainsFunc(all, RefusesConf) {
				continue
			}
			f.Check = cmp.Or(f.Check, check.Name)
			if f.Changes == nil {
				f.Changes = []change.Change{}
			}
			all = append(all, f)
		}
	}
	return all
}

// Check is one question about the host. Detect never writes. A bad host is a
// finding; an error means that the check could not tell.
type Check struct {
	Name   string
	Detect func(host.Host, hostprep.Guest) ([]hostprep.Finding, error)
}
