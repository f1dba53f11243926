package journal

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// Undo takes the change back.
func Undo(h host.Host, c change.Change) error { return Apply(h, c.Reverse()) }

// foreignError is the error of a change that did not find From: somebody has changed
// it since.
type foreignError struct {
	change change.Change
	found  string
}

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s: it is %s now, not %s", e.change.Path, pages.OrNothing(e.found), pages.OrNothing(e.change.From))
}

// Apply makes the change if it finds From. Symbolic links are never followed:
// the folders below a hugetlbfs may be other users' to write.
func Apply(h host.Host, c change.Change) error {
	_, err := apply(h, c)
	return err
}

// apply is Apply, and says whether an error may have left something of the change.
func apply(h host.Host, c change.Change) (begun bool, err error) {
	k, err := kindOf(c)
	if err != nil {
		return false, err
	}
	dir, name := path.Split(path.Clean(c.Path))
	parent, err := h.OpenDir(dir)
	if err != nil {
		return false, err
	}
	defer unix.Close(parent)
	if err := k.clearAt(c, parent, name); err != nil {
		return true, err
	}
	now, err := c.Find(h, parent, name)
	if err == nil && now != c.From && (k.accepts == nil || !k.accepts(h, c, now)) {
		return false, &foreignError{c, now}
	}
	if err == nil {
		begun, err = true, k.set(h, c, parent, name)
	}
	if err != nil {
		return begun, advice.Wrap(err, c.String(), wayOut(c, err, parent, name))
	}
	return true, nil
}

// clearOf removes what a kill has left of a change that was being made.
func clearOf(h host.Host, c change.Change) error {
	k, err := kindOf(c)
	if err != nil {
		return err
	}
	dir, name := path.Split(path.Clean(c.Path))
	parent, err := h.OpenDir(dir)
	if err != nil {
		return nil // nor could anything be made there
	}
	defer unix.Close(parent)
	return k.clearAt(c, parent, name)
}

func (k kind) clearAt(c change.Change, parent int, name string) error {
	if k.clear == nil {
		return nil
	}
	if err := k.clear(c, parent, name); err != nil {
		return advice.Wrap(err, "removing what an earlier run left beside "+c.Path, wayOut(c, err, parent, name))
	}
	return nil
}

// takeBack takes back the changes of a run that failed, newest first. If one can't be, it is
// left, and so are those before it: it may need them, as a file does its folder.
func takeBack(h host.Host, made []record) (left []record, err error) {
	for n, r := range slices.Backward(made) {
		if r.Reverse().To != r.From && r.From != "" {
			// A program, of which only the hash is on record: the new one is better than none.
			now, err := r.Now(h)
			if err == nil && now == r.From {
				continue
			}
			return made[:n+1], cmp.Or(err, fmt.Errorf("%s: the former program is gone", r.Path))
		}
		var foreign *foreignError
		err := Undo(h, r.Change)
		if errors.As(err, &foreign) && foreign.found == r.From {
			continue // it was not made
		}
		if err != nil {
			return made[:n+1], err
		}
	}
	return nil, nil
}
