package hostprep

import (
	"slices"
)

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
