package hostprep

import (
	"errors"
	"io/fs"
	"slices"

	"vmhuge/internal/advice"
)

// Checks lists every check, in the order of their findings.
func Checks() []Check {
	return []Check{
		pageSizeCheck, kvmCheck, lockedCheck, numadCheck, emulatorPinCheck, appArmorCheck, qemuConfCheck,
		mountCheck, pathCheck, cgroupCheck, poolCheck, thpCheck, hooksCheck,
	}
}

// Run asks every check. One that could not tell is a finding of its own,
// never silence. The findings are empty, not nil, where all is well.
func Run(h Host, g Guest) []Finding { return ask(h, g, Checks()) }

// RunMounts asks the checks of the way from QEMU to its pages, the mounts and
// the folders on them: what can be mended in a guest's start, but for the pages.
func RunMounts(h Host, g Guest) []Finding { return ask(h, g, []Check{mountCheck, pathCheck}) }

func ask(h Host, g Guest, checks []Check) []Finding {
	all := []Finding{}
	h = h.remembering()
	for _, check := range checks {
		findings, err := check.Detect(h, g)
		if err != nil {
			findings = append(findings, untold(err))
		}
		for _, f := range findings {
			f.Check = check.Name
			if f.Changes == nil {
				f.Changes = []Change{}
			}
			all = append(all, f)
		}
	}
	return all
}

// untold is the finding of a check that could not tell.
func untold(err error) Finding {
	f := Finding{Severity: Warning, Verdict: Unknown, Have: "could not tell: " + err.Error(), Need: "to be able to look"}
	if told := (*advice.Error)(nil); errors.As(err, &told) {
		f.Have, f.Do = "could not tell: "+told.What+": "+told.Why, told.Do
	}
	if errors.Is(err, fs.ErrPermission) {
		f.Do = "run vmhuge as root"
	}
	return f
}

// weight orders the verdicts of blockers: what must be mended first comes
// first.
var weight = []Verdict{BadDomain, BadHost, NoMount, NoAccess, NoMemory}

// Conclude says what a plain start would come to now: the verdict of the
// heaviest blocker, Unknown where something uncertain is all there is, else
// Ready. fixable says that every blocker is one that vmhuge start mends.
func Conclude(findings []Finding) (verdict Verdict, ready, fixable bool) {
	verdict, fixable = Ready, true
	heaviest := len(weight)
	for _, f := range findings {
		switch {
		case f.Severity == Blocker:
			fixable = fixable && f.Fixable
			if w := slices.Index(weight, f.Verdict); w < heaviest {
				heaviest, verdict = w, f.Verdict
			}
		case f.Verdict == Unknown && verdict == Ready:
			verdict = Unknown
		}
	}
	return verdict, verdict == Ready, fixable
}
