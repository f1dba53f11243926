package hook

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/journal"
	"vmhuge/internal/advice"
)

const removing = "removing the hook"

// Removal says what must change for the hook to go, in that order. No
// change: there is none.
func Removal(h host.Host) ([]change.Change, error) {
	if err := removalOnNixOS(h); err != nil {
		return nil, err
	}
	removal, _, _, err := removal(h)
	return removal, err
}

// removal also returns the changes that no record has, and the folders on record that stay,
// because somebody uses or has changed them.
func removal(h host.Host) (removal, unknown, stay []change.Change, err error) {
	stands, err := Journal(h).Changes()
	if err != nil {
		return nil, nil, nil, err
	}
	if unknown, err = unrecorded(h, stands); err != nil {
		return nil, nil, nil, err
	}
	stands = append(stands, unknown...)
	for _, c := range slices.Backward(stands) {
		now, err := change.Look(h, c.Kind, c.Path)
		other := false
		if err == nil && now == c.To && c.Kind == change.KindMkdir {
			other, err = holdsOther(h, c.Path, removal)
		}
		irregular := host.IrregularError("")
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) && !errors.As(err, &irregular):
			return nil, nil, nil, err // whether it is ours, or keeps a folder, is not known
		case err == nil && now == c.To && !other:
			removal = append(removal, c.Reverse())
		case err == nil && c.Kind == change.KindMkdir:
			stay = append(stay, c)
		}
	}
	return removal, unknown, stay, nil
}

// unrecorded returns what is ours and on no record, as the changes that would
// have made it: the record was lost, or somebody has changed a mode.
func unrecorded(h host.Host, record []change.Change) (changes []change.Change, err error) {
	file, err := Find(h, 0)
	if err != nil {
		return nil, err
	}
	onRecord := func(c change.Change) bool { return c.Path == file.Path && c.To == file.state }
	if file.Ours && !slices.ContainsFunc(record, onRecord) {
		changes = append(changes, change.Change{Kind: change.KindCopy, Path: file.Path, To: file.state, Source: file.program})
	}
	if len(record) > 0 {
		return changes, nil
	}
	// Settings in our own words are ours, and so is a folder with nothing else.
	settings := "/" + path.Join(hookSettings...)
	state, err := change.Look(h, change.KindFile, settings)
	if now, serr := ReadSettings(h); err != nil || serr != nil || state != now.state() {
		return changes, nil
	}
	ours := change.Change{Kind: change.KindFile, Path: settings, To: state}
	dir := change.Change{Kind: change.KindMkdir, Path: path.Dir(settings)}
	if dir.To, err = change.Look(h, change.KindMkdir, dir.Path); err == nil {
		if other, err := holdsOther(h, dir.Path, []change.Change{ours.Reverse()}); err == nil && !other {
			changes = append(changes, dir)
		}
	}
	return append(changes, ours), nil
}

// Remove takes the hook away, with all that its installation made. What
// somebody has changed since is left, and so are folders with other files.
func Remove(h host.Host) (changed []change.Change, left []journal.Left, err error) {
	if err := removalOnNixOS(h); err != nil {
		return nil, nil, err
	}
	journal := Journal(h)
	if err := journal.Finish(); err != nil { // its half-written files keep no folder
		return nil, nil, advice.About(err, removing)
	}
	_, unrecorded, stay, err := removal(h)
	if err != nil {
		return nil, nil, advice.About(err, removing)
	}
	if err := journal.Adopt(unrecorded); err != nil {
		return nil, nil, advice.About(err, removing)
	}
	if err := journal.Forget(func(c change.Change) bool { return slices.Contains(stay, c) }); err != nil {
		return nil, nil, advice.About(err, removing)
	}
	undone, all, err := journal.Undo()
	for _, c := range undone {
		changed = append(changed, c.Reverse())
	}
	if err != nil {
		return changed, nil, advice.About(err, removing)
	}
	for _, l := range all {
		if now, err := change.Look(h, l.Change.Kind, l.Change.Path); l.Again || err == nil && now != "" && now != l.Change.From {
			left = append(left, l)
		}
	}
	return changed, left, forgetCalls(h)
}

// forgetCalls removes what the hook and its installation leave in /run.
func forgetCalls(h host.Host) error {
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
