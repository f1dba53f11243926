// Package journal records changes of the host, makes them, and undoes them.
package journal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// journalDir holds the record of changes. Unlike the ledger of pages it
// outlives a reboot, as some of the changes do.
var journalDir = []string{"var", "lib", "vmhuge"}

// Journal is the record, on disk, of the changes that are in force. It need not note
// which were made before a crash: Undo looks at the host, and leaves alone what is as it
// was before the change.
type Journal struct {
	Host host.Host
	// Name is the file of the record; "": changes.json, that of vmhuge undo. What is
	// undone separately, such as the hook, has a record of its own.
	Name string
}

func (j Journal) file() []string {
	return append(slices.Clip(journalDir), cmp.Or(j.Name, "changes.json"))
}

// Left is a change on record that Undo did not take back.
type Left struct {
	Change change.Change `json:"change"`
	Reason string        `json:"reason"`
	// Again says that it stays on record, for the next Undo to try again; else nothing
	// of it is left to undo.
	Again bool `json:"again"`
}

// Changes lists what is on record, oldest first.
func (j Journal) Changes() ([]change.Change, error) {
	records, err := j.read()
	changes := []change.Change{}
	for _, r := range records {
		changes = append(changes, r.Change)
	}
	return changes, err
}

// SinceBoot says whether a change of a path was recorded since the host booted, and is in
// force.
func (j Journal) SinceBoot(path string) (bool, error) {
	records, err := j.read()
	if err != nil || len(records) == 0 {
		return false, err
	}
	boot, err := j.Host.Root.BootID()
	return slices.ContainsFunc(records, func(r record) bool { return r.Path == path && r.Boot == boot }), err
}

// Apply makes all changes or none. They are recorded before the first is made, so that
// Undo finds them after a crash.
func (j Journal) Apply(changes []change.Change) error {
	for _, c := range changes {
		if err := c.Valid(); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return nil
	}
	before, records, unlock, err := j.add(changes)
	if err != nil {
		return err
	}
	defer unlock()
	made, begun := 0, false
	for _, c := range changes {
		if begun, err = apply(j.Host, c); err != nil {
			break
		}
		made++
	}
	readers := readersOf(changes[:made])
	if err == nil {
		err = tell(j.Host, readers)
	}
	if err != nil {
		back := made
		if made < len(changes) && begun { // the failed one may have left something
			back++
		}
		left, undoErr := takeBack(j.Host, records[len(before):][:back])
		switch {
		case undoErr != nil:
			err = errors.Join(err, fmt.Errorf("undoing the earlier changes: %w", undoErr))
		case made > 0:
			err = fmt.Errorf("%w; the earlier changes were undone", err)
		}
		if made == len(changes) { // some readers may have read the changed files
			_ = tell(j.Host, readers)
		}
		return errors.Join(err, j.write(append(before, left...)))
	}
	if short := told(merge(records)); len(short) < len(records) || len(readers) > 0 {
		_ = j.write(short) // if that fails, the longer record has the same effect
	}
	return nil
}

// Finish does what a killed run has left to do: it removes half-written files beside what is
// on record, and makes systemd and GRUB read the files that were changed.
func (j Journal) Finish() error {
	if records, err := j.read(); err != nil || len(records) == 0 {
		return err
	}
	unlock, err := j.lock()
	if err != nil {
		return err
	}
	defer unlock()
	records, err := j.read()
	if err != nil {
		return err
	}
	var untold []change.Change
	for _, r := range records {
		if err := clearOf(j.Host, r.Change); err != nil {
			return err
		}
		if r.Untold {
			untold = append(untold, r.Change)
		}
	}
	if len(untold) == 0 {
		return nil
	}
	if err := tell(j.Host, readersOf(untold)); err != nil {
		return err
	}
	return j.write(told(records))
}

func told(records []record) []record {
	for i := range records {
		records[i].Untold = false
	}
	return records
}

// Adopt records changes that were made without the journal, for Undo to undo them.
func (j Journal) Adopt(changes []change.Change) error {
	if len(changes) == 0 {
		return nil
	}
	_, _, unlock, err := j.add(changes)
	if err == nil {
		unlock()
	}
	return err
}

// add locks the record and adds to it.
func (j Journal) add(changes []change.Change) (before, records []record, unlock func(), err error) {
	unlock, err = j.lock()
	if err != nil {
		return nil, nil, nil, err
	}
	before, err = j.read()
	if err == nil {
		var boot string
		boot, err = j.Host.Root.BootID()
		records = slices.Clone(before)
		for _, c := range changes {
			records = append(records, record{Change: c, Boot: boot, Untold: readerOf(c) != ""})
		}
	}
	if err == nil {
		if err = j.write(records); err != nil {
			_ = j.write(before) // what fails last, as fsync of the folder, leaves the new record
		}
	}
	if err != nil {
		unlock()
	}
	return before, records, unlock, err
}

// merge joins the changes of one file or folder into one, so that the record does not
// grow with each upgrade.
func merge(records []record) []record {
	var merged []record
	for _, r := range records {
		i := slices.IndexFunc(merged, func(m record) bool { return m.OnDisk() && r.Continues(m.Change) })
		if i < 0 {
			merged = append(merged, r)
			continue
		}
		merged[i].To, merged[i].Source, merged[i].Boot = r.To, r.Source, r.Boot
		merged[i].Untold = merged[i].Untold || r.Untold
		if merged[i].From == merged[i].To {
			merged = slices.Delete(merged, i, i+1)
		}
	}
	return merged
}

// Undo undoes what is on record, newest first. What somebody has changed since then stays
// as it is, and leaves the record.
func (j Journal) Undo() (undone []change.Change, left []Left, err error) {
	undone, left = []change.Change{}, []Left{}
	if records, err := j.read(); err != nil || (len(records) == 0 && !j.abandoned()) {
		return undone, left, err
	}
	unlock, err := j.lock()
	if err != nil {
		return undone, left, err
	}
	defer unlock()
	records, err := j.read()
	if err != nil {
		return undone, left, err
	}
	boot, err := j.Host.Root.BootID()
	if err != nil {
		return undone, left, err
	}
	var again []record
	var files []change.Change
	for _, r := range slices.Backward(records) {
		files = append(files, r.Change) // a killed Undo may have changed it already
		l := Left{Change: r.Change}
		var foreign *foreignError
		if r.Boot != boot && !r.OnDisk() && !r.EachBoot {
			l.Reason = "a reboot has already undone it"
		} else if err := Undo(j.Host, r.Change); err == nil {
			undone = append(undone, r.Change)
			continue
		} else if errors.As(err, &foreign) && foreign.found == r.From {
			l.Reason = "it is already as it was"
		} else if errors.As(err, &foreign) {
			l.Reason = "somebody has changed it since: it is " + pages.OrNothing(foreign.found)
		} else if errors.Is(err, fs.ErrNotExist) {
			l.Reason = "its folder no longer exists"
		} else if over, overErr := j.handOver(r); overErr != nil {
			return undone, left, overErr
		} else if over {
			continue
		} else if errors.Is(err, unix.ENOTEMPTY) && r.OnDisk() && !slices.ContainsFunc(again, func(a record) bool { return host.Within(a.Path, r.Path) }) {
			l.Reason = "it holds files that are not vmhuge's"
		} else {
			l.Reason, l.Again = err.Error(), true
			again = append(again, r)
		}
		left = append(left, l)
	}
	slices.Reverse(again)
	if err := tell(j.Host, readersOf(files)); err != nil {
		return undone, left, err // the record stays, and the next Undo tells the readers
	}
	return undone, left, j.write(again)
}

// record is a change with the boot in which it was made.
type record struct {
	change.Change
	Boot string `json:"boot"`
	// Untold says that the file's reader may not have been told of the change yet.
	Untold bool `json:"untold,omitempty"`
}

// journalVersion is the version of the file's format.
const journalVersion = 1

type journalText struct {
	Version int      `json:"version"`
	Changes []record `json:"changes"`
}

// parseJournal reads a record:
//
//	{"version":1,"changes":[
//	 {"kind":"chmod","path":"/dev/hugepages/libvirt","from":"0700","to":"0711","boot":"4f0…"}]}
func parseJournal(text []byte) ([]record, error) {
	var file journalText
	// The version first: the rest of another version may have any shape.
	if err := json.Unmarshal(text, &struct{ Version *int }{&file.Version}); err != nil {
		return nil, err
	}
	if file.Version != journalVersion {
		return nil, fmt.Errorf("it has version %d, and this vmhuge knows version %d", file.Version, journalVersion)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("there is text after its end")
	}
	for _, r := range file.Changes {
		if err := r.Valid(); err != nil {
			return nil, err
		}
	}
	return file.Changes, nil
}

func (j Journal) read() ([]record, error) {
	text, err := j.Host.Root.Read(j.file()...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	records, err := parseJournal([]byte(text))
	if err != nil {
		path := j.Host.Root.Path(j.file()...)
		return nil, advice.Wrap(err, "reading the record of changes, "+path,
			"nothing was changed; undo by hand what it lists, then remove it")
	}
	return records, nil
}

// write replaces the record, and removes an empty one.
func (j Journal) write(records []record) error {
	if len(records) == 0 {
		if err := os.Remove(j.Host.Root.Path(j.file()...)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return j.Host.Root.RemoveFolder(journalDir...) // other files may be in it
	}
	text, err := json.MarshalIndent(journalText{journalVersion, records}, "", " ")
	if err != nil {
		return err
	}
	return j.Host.Root.Replace(append(text, '\n'), 0o600, j.file()...)
}

// Forget removes changes from the record without undoing them. Folders that another record
// needs go to that one.
func (j Journal) Forget(which func(change.Change) bool) error {
	_, records, unlock, err := j.add(nil)
	if err != nil {
		return err
	}
	defer unlock()
	for _, r := range records {
		if which(r.Change) {
			if _, err := j.handOver(r); err != nil {
				return err
			}
		}
	}
	return j.write(slices.DeleteFunc(records, func(r record) bool { return which(r.Change) }))
}
