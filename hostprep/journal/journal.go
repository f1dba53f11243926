// Package journal writes changes of a host down, makes them, and takes them back.
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
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// journalDir holds the record of changes. Unlike the ledger of pages it
// outlives a reboot, as some of the changes do.
var journalDir = []string{"var", "lib", "vmhuge"}

// Journal is the record, on disk, of the changes that stand. It needs no mark
// of which were made: Undo looks at the host, and a change that a crash kept
// from being made is found to have nothing to take back.
type Journal struct {
	Host host.Host
	// Name is the file of the record; "": changes.json, that of vmhuge undo.
	// What is taken back by itself has a record of its own.
	Name string
}

func (j Journal) file() []string {
	return append(slices.Clip(journalDir), cmp.Or(j.Name, "changes.json"))
}

// Left is a change on record that Undo did not take back.
type Left struct {
	Change change.Change `json:"change"`
	Reason string        `json:"reason"`
	// Again says that it stays on record and the next Undo tries again; else
	// there is nothing of it to take back any more.
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

// Apply makes all changes or none. They are on record before the first is
// made, so that a crash leaves nothing that Undo does not find.
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
	var made []change.Change
	for _, c := range changes {
		err = Apply(j.Host, c)
		if err != nil {
			break
		}
		made = append(made, c)
	}
	readers := readersOf(made)
	if err == nil {
		err = tell(j.Host, readers)
	}
	if err != nil {
		for n, done := range slices.Backward(made) {
			if uerr := Undo(j.Host, done); uerr != nil {
				// The failed one and those after it were never made.
				werr := j.write(records[:len(before)+n+1])
				return errors.Join(err, fmt.Errorf("taking back the changes before it: %w", uerr), werr)
			}
		}
		if len(made) > 0 {
			err = fmt.Errorf("%w; the changes before it were taken back", err)
		}
		if len(made) == len(changes) { // some may have heard of them
			_ = tell(j.Host, readers)
		}
		return errors.Join(err, j.write(before))
	}
	if short := told(merge(records)); len(short) < len(records) || len(readers) > 0 {
		_ = j.write(short) // the longer record says the same
	}
	return nil
}

// Tell does what a kill between the changes and their end has kept from being
// done: it tells those who read the changed files. Where nobody is to be told it
// writes nothing.
func (j Journal) Tell() error {
	if records, err := j.read(); err != nil || !slices.ContainsFunc(records, func(r record) bool { return r.Untold }) {
		return err
	}
	_, records, unlock, err := j.add(nil)
	if err != nil {
		return err
	}
	defer unlock()
	var untold []change.Change
	for _, r := range records {
		if r.Untold {
			untold = append(untold, r.Change)
		}
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

// Adopt puts on record what is already so, for Undo to take back.
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
		boot, err = j.bootID()
		records = slices.Clone(before)
		for _, c := range changes {
			records = append(records, record{Change: c, Boot: boot, Untold: readerOf(c) != ""})
		}
	}
	if err == nil {
		err = j.write(records)
	}
	if err != nil {
		unlock()
	}
	return before, records, unlock, err
}

// merge joins what was done to one file or folder more than once, so that the
// record does not grow with each upgrade.
func merge(records []record) []record {
	var merged []record
	for _, r := range records {
		i := slices.IndexFunc(merged, func(m record) bool { return m.OnDisk() && r.Continues(m.Change) })
		if i < 0 {
			merged = append(merged, r)
			continue
		}
		merged[i].To, merged[i].Source = r.To, r.Source
		merged[i].Untold = merged[i].Untold || r.Untold
		if merged[i].From == merged[i].To {
			merged = slices.Delete(merged, i, i+1)
		}
	}
	return merged
}

// Undo takes back what is on record, newest first. What somebody has changed
// since stays as it is, and is theirs from then on.
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
	boot, err := j.bootID()
	if err != nil {
		return undone, left, err
	}
	var again []record
	var files []change.Change
	for _, r := range slices.Backward(records) {
		files = append(files, r.Change) // also of one that a killed undo has taken back
		l := Left{Change: r.Change}
		var foreign *foreignError
		if r.Boot != boot && !r.OnDisk() && !r.EachBoot {
			l.Reason = "it is gone since the reboot"
		} else if err := Undo(j.Host, r.Change); err == nil {
			undone = append(undone, r.Change)
			continue
		} else if errors.As(err, &foreign) && foreign.found == r.From {
			l.Reason = "it is already as it was"
		} else if errors.As(err, &foreign) {
			l.Reason = "somebody has changed it since: it is " + pages.OrNothing(foreign.found)
		} else if errors.Is(err, fs.ErrNotExist) {
			l.Reason = "its folder is not there any more"
		} else if errors.Is(err, unix.ENOTEMPTY) && r.OnDisk() && !slices.ContainsFunc(again, func(a record) bool { return host.Within(a.Path, r.Path) }) {
			l.Reason = "others keep something in it"
		} else {
			l.Reason, l.Again = err.Error(), true
			again = append(again, r)
		}
		left = append(left, l)
	}
	slices.Reverse(again)
	if err := tell(j.Host, readersOf(files)); err != nil {
		return undone, left, err // the record stays, and the next Undo tells them
	}
	return undone, left, j.write(again)
}

// record is a change with the boot in which it was made.
type record struct {
	change.Change
	Boot string `json:"boot"`
	// Untold says that who reads the file may not have been told of it yet.
	Untold bool `json:"untold,omitempty"`
}

// journalVersion is the version of the file's shape.
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
	// The version first: of another one nothing else is known.
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
		return nil, errors.New("something follows its end")
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
			"nothing was touched; take back by hand what it lists, and remove it")
	}
	return records, nil
}

// write makes the record what it is told, and removes an empty one.
func (j Journal) write(records []record) error {
	if len(records) == 0 {
		if err := os.Remove(j.Host.Root.Path(j.file()...)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = os.Remove(j.Host.Root.Path(journalDir...)) // stays where others keep files in it
		return nil
	}
	text, err := json.MarshalIndent(journalText{journalVersion, records}, "", " ")
	if err != nil {
		return err
	}
	return j.Host.Root.Replace(append(text, '\n'), 0o600, j.file()...)
}

// bootID names the time from one boot of the host to the next.
func (j Journal) bootID() (string, error) {
	id, err := j.Host.Root.Read("proc", "sys", "kernel", "random", "boot_id")
	return strings.TrimSpace(id), err
}

// Forget takes off the record what is somebody else's from now on.
func (j Journal) Forget(which func(change.Change) bool) error {
	_, records, unlock, err := j.add(nil)
	if err != nil {
		return err
	}
	defer unlock()
	return j.write(slices.DeleteFunc(records, func(r record) bool { return which(r.Change) }))
}
