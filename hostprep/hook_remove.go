package hostprep

import (
	"errors"
	"os"
	"path"
	"slices"

	"vmhuge/internal/advice"
)

// HookRemoval says what must change for the hook to go, in that order. No
// change: there is none.
func (h Host) HookRemoval() ([]Change, error) {
	removal, _, err := h.hookRemoval()
	return removal, err
}

// hookRemoval also returns what no record has.
func (h Host) hookRemoval() (removal, unrecorded []Change, err error) {
	stands, err := h.HookJournal().Changes()
	if err != nil {
		return nil, nil, err
	}
	if unrecorded, err = h.unrecorded(stands); err != nil {
		return nil, nil, err
	}
	stands = append(stands, unrecorded...)
	for _, c := range slices.Backward(stands) {
		now, err := h.look(c.Kind, c.Path)
		stays := c.Kind == KindMkdir && h.holdsOther(c.Path, removal)
		if err == nil && now == c.To && !stays {
			removal = append(removal, c.Reverse())
		}
	}
	return removal, unrecorded, nil
}

// unrecorded returns what is ours and on no record, as the changes that would
// have made it: the record was lost, or somebody has changed a mode.
func (h Host) unrecorded(record []Change) (changes []Change, err error) {
	file, err := h.findHook(0)
	if err != nil {
		return nil, err
	}
	onRecord := func(c Change) bool { return c.Path == file.path && c.To == file.state }
	if file.ours && !slices.ContainsFunc(record, onRecord) {
		changes = append(changes, Change{Kind: KindCopy, Path: file.path, To: file.state, Source: file.program})
	}
	if len(record) > 0 {
		return changes, nil
	}
	// Settings in our own words are ours, and so is a folder with nothing else.
	settings := "/" + path.Join(hookSettings...)
	state, err := h.look(KindFile, settings)
	if now, serr := h.HookSettings(); err != nil || serr != nil || state != now.state() {
		return changes, nil
	}
	ours := Change{Kind: KindFile, Path: settings, To: state}
	dir := Change{Kind: KindMkdir, Path: path.Dir(settings)}
	if dir.To, err = h.look(KindMkdir, dir.Path); err == nil && !h.holdsOther(dir.Path, []Change{ours.Reverse()}) {
		changes = append(changes, dir)
	}
	return append(changes, ours), nil
}

// RemoveHook takes the hook away, with all that its installation made. What
// somebody has changed since is left, and so are folders with other files.
func (h Host) RemoveHook() (changed []Change, left []Left, err error) {
	const removing = "removing the hook"
	removal, unrecorded, err := h.hookRemoval()
	if err != nil {
		return nil, nil, advice.About(err, removing)
	}
	journal := h.HookJournal()
	if err := journal.Adopt(unrecorded); err != nil {
		return nil, nil, advice.About(err, removing)
	}
	if err := journal.forget(func(c Change) bool {
		return c.Kind == KindMkdir && !slices.Contains(removal, c.Reverse())
	}); err != nil {
		return nil, nil, advice.About(err, removing)
	}
	undone, all, err := journal.Undo()
	if err != nil {
		return nil, nil, advice.About(err, removing)
	}
	for _, c := range undone {
		changed = append(changed, c.Reverse())
	}
	for _, l := range all {
		if now, err := h.look(l.Change.Kind, l.Change.Path); l.Again || err == nil && now != "" && now != l.Change.From {
			left = append(left, l)
		}
	}
	return changed, left, h.forgetCalls()
}

// forgetCalls removes what the hook and its installation leave in /run.
func (h Host) forgetCalls() error {
	log := h.Root.Path(hookLog...)
	var err error
	for _, file := range []string{log, log + ".1", h.Root.Path(hookDaemon...)} {
		if rerr := os.Remove(file); !errors.Is(rerr, os.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	_ = os.Remove(path.Dir(log)) // stays where others keep files in it
	return err
}
