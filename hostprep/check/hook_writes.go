package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/internal/shell"
)

// HookWrites finds scripts that libvirt runs and that set the size of a pool
// themselves, like the alloc_hugepages.sh of many guides on VFIO. Such a script sets one
// number for all guests: when one guest starts it may take away the pages of another, and
// when one ends it frees pages that a starting guest is about to use.
var HookWrites = Check{"hook-writes", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if !g.System() {
		return nil, nil
	}
	scripts, err := hook.PoolScripts(h, g.Demand.Domain)
	if err != nil || len(scripts) == 0 {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, s := range scripts {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Warning, Cause: hostprep.ForeignHook,
			Have: fmt.Sprintf("%s sets the pool by itself: line %s", s.Path, strings.Join(s.Lines, "; line ")),
			Need: "only one program that sets the pool: this script sets the same number for all guests, and so frees pages that another guest is waiting for, or that vmhuge added",
			Do:   withoutPoolLines(s.Path) + "; vmhuge hook install allocates and frees them for each guest instead"})
	}
	return findings, nil
}}

// withoutPoolLines is what to do about a script. One that is named after huge pages is about
// nothing else; any other may bind devices or pin processors as well.
func withoutPoolLines(file string) string {
	if strings.Contains(strings.ToLower(path.Base(file)), "huge") {
		return "chmod a-x " + shell.Quote(file)
	}
	return "take these lines out of " + shell.Quote(file)
}

// leaveToScripts turns a short pool into a warning if a hook other than vmhuge's sets the
// pool's size: only the start shows whether that script allocates enough pages.
func leaveToScripts(findings []hostprep.Finding) {
	if !slices.ContainsFunc(findings, func(f hostprep.Finding) bool { return f.Check == HookWrites.Name }) {
		return
	}
	for i := range findings {
		if f := &findings[i]; f.Severity == hostprep.Blocker && f.Check == Pool.Name && f.Verdict == hostprep.NoMemory {
			f.Severity, f.Verdict = hostprep.Warning, hostprep.Unknown
			f.Have += "; a hook that is not vmhuge's may add pages when the guest starts"
		}
	}
}
