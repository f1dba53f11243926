package journal

import (
	"fmt"
	"path"

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
	k, err := kindOf(c)
	if err != nil {
		return err
	}
	dir, name := path.Split(path.Clean(c.Path))
	parent, err := h.OpenDir(dir)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if k.clear != nil {
		k.clear(c, parent, name)
	}
	now, err := c.Find(h, parent, name)
	if err == nil && now != c.From && (k.accepts == nil || !k.accepts(h, c, now)) {
		return &foreignError{c, now}
	}
	if err == nil {
		err = k.set(h, c, parent, name)
	}
	if err != nil {
		return advice.Wrap(err, c.String(), wayOut(c, err, parent, name))
	}
	return nil
}
