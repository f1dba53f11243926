package hostprep

import (
	"errors"
	"slices"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// Fixes returns the changes that mend what blocks a start, or may, as far as
// that is possible, for Journal.Apply. Those of the pools are not among them:
// pages are held after.
func Fixes(findings []Finding) []change.Change {
	var changes []change.Change
	for _, f := range findings {
		if f.Severity == Note || !f.Fixable {
			continue
		}
		for _, c := range f.Changes {
			if c.Kind != change.KindPool && !slices.Contains(changes, c) { // two findings may need the same
				changes = append(changes, c)
			}
		}
	}
	return changes
}

// Fix gives a finding the changes that vmhuge start makes to mend it.
func (f *Finding) Fix(changes ...change.Change) {
	f.Changes = append(f.Changes, changes...)
	f.Fixable = true
	f.Do = StartDoes + change.Join(f.Changes)
}

const StartDoes = "vmhuge start does: "

// With adds the change that mends it, which the user makes unless start does.
func (f Finding) With(c change.Change) Finding {
	f.Changes = []change.Change{c}
	if !f.Fixable {
		f.Do = c.String()
	}
	return f
}

// FixFile gives a finding the changes that make an edit. Where the file is not
// vmhuge's to write, as on an immutable system, the user is told what to put
// there. false: there is nothing to change.
func (f *Finding) FixFile(h host.Host, e change.FileEdit, text string) (bool, error) {
	changes, err := e.Changes(h)
	var held change.HeldError
	if errors.As(err, &held) {
		f.Have += "; " + held.Error()
		f.Do = "put into " + e.Path + ", with the tool that manages that file: " + text
		return true, nil
	}
	if err != nil || len(changes) == 0 {
		return false, err
	}
	f.Fix(changes...)
	return true, nil
}
