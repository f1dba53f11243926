package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep/pool"
)

// A claim that a newer vmhuge wrote may have a phase or a form that is not known here: both may
// run at once, or the older one was put back. What it means can't be told, so that its file
// stays as it is and its pages are not freed. What can be read of it counts.

// errNewer is the error of such a claim, which is errUnusable as well.
var errNewer error = newerError{}

// newerError is no fmt.Errorf, which would work before main of each start of the hook.
type newerError struct{}

func (newerError) Error() string { return errUnusable.Error() + ": a newer vmhuge wrote it" }
func (newerError) Unwrap() error { return errUnusable }

// mayBePhase says whether a newer vmhuge may have a phase of that name.
func mayBePhase(name Phase) bool {
	return name != "" && strings.Trim(string(name), "abcdefghijklmnopqrstuvwxyz-") == ""
}

// leaveAlone takes a claim of a newer vmhuge out of those that are looked after here.
func (l *Ledger) leaveAlone(c Claim) {
	l.claims = slices.DeleteFunc(l.claims, func(o Claim) bool { return o.UUID == c.UUID })
	l.newer = append(l.newer, c)
	l.SetAside = append(l.SetAside, fmt.Sprintf("the claim %s is left as it is, for a newer vmhuge wrote it: "+
		"pages that were added for that guest stay until that vmhuge runs, or the host reboots", l.path(c.fileName())))
}

// heldByNewer is the error of a change of a claim that is left alone.
func (l *Ledger) heldByNewer(uuid string) error {
	if !slices.ContainsFunc(l.newer, func(c Claim) bool { return c.UUID == uuid }) {
		return nil
	}
	return errors.New("a newer vmhuge manages this guest's pages; use that version")
}

// counted are all claims, for what they will yet take.
func counted(claims, newer []Claim) []Claim {
	all := slices.Clip(claims)
	for _, c := range newer {
		all = append(all, Claim{UUID: c.UUID, Name: c.Name, Phase: Starting, Takes: c.Takes})
	}
	return all
}

// newerHas says how many pages such claims have added to a pool.
func (l *Ledger) newerHas(p pool.Pool) (n int64) {
	for _, c := range l.newer {
		for _, g := range c.Grants {
			if g.Node == p.Node && g.Size == p.Size {
				n += g.Pages
			}
		}
	}
	return n
}
