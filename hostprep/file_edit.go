package hostprep

import (
	"cmp"
	"errors"
	"path"
	"slices"
	"strings"
)

// fileEdit is what shall become of a small text file.
type fileEdit struct {
	path  string
	fresh string // mode and owner of a new one: 0644 0:0
	dirs  string // and of the folders that it lacks
	// edit returns what the text shall be; of a file that is not there it is "".
	edit func(text string) (string, error)
}

// systemFile is an edit of a file of root's that everybody reads.
func systemFile(path string, edit func(string) (string, error)) fileEdit {
	return fileEdit{path: path, fresh: "0644 0:0", dirs: "0755 0:0", edit: edit}
}

// withLine edits a text so that a line is among its lines.
func withLine(line string) func(string) (string, error) {
	return func(text string) (string, error) {
		if slices.ContainsFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == line }) {
			return text, nil
		}
		return addLine(text, line), nil
	}
}

// addLine puts a line at the end of a text, which may lack its last line end.
func addLine(text, line string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}

// heldError says why a file is not vmhuge's to write.
type heldError string

func (e heldError) Error() string { return string(e) }

// changes returns what makes the edit: none if the file is as it shall be.
func (e fileEdit) changes(h Host) ([]Change, error) {
	var changes []Change
	dir := ""
	for _, name := range strings.Split(path.Dir(e.path), "/")[1:] {
		dir += "/" + name
		if len(changes) == 0 {
			st, err := h.lstat(dir)
			if err != nil {
				return nil, err
			}
			if st != nil && !isDir(st) {
				return nil, heldError(dir + " is a symbolic link, or no folder")
			}
			if st != nil {
				continue
			}
		}
		changes = append(changes, Change{Kind: KindMkdir, Path: dir, To: e.dirs})
	}
	state := ""
	if len(changes) == 0 {
		var err error
		var irregular irregularError
		if state, err = h.look(KindFile, e.path); errors.As(err, &irregular) {
			return nil, heldError(e.path + " is" + strings.TrimPrefix(irregular.Error(), "it is"))
		} else if err != nil {
			return nil, err
		}
	}
	owner, text, _ := strings.Cut(state, "\n")
	want, err := e.edit(text)
	if err != nil || want == text {
		return nil, err
	}
	if readOnly, err := h.readOnly(e.path); err != nil || readOnly {
		return nil, cmp.Or(err, error(heldError(e.path+" is on a read-only file system")))
	}
	return append(changes, Change{Kind: KindFile, Path: e.path, From: state, To: cmp.Or(owner, e.fresh) + "\n" + want}), nil
}

// readOnly says whether a path lies on a mount that nobody may write to.
func (h Host) readOnly(path string) (bool, error) {
	mounts, err := h.mountTable()
	if err != nil {
		return false, err
	}
	i := mountAt(mounts, h.resolve(path))
	return i >= 0 && (slices.Contains(mounts[i].flags, "ro") || slices.Contains(mounts[i].options, "ro")), nil
}

// mendFile gives a finding the changes that make an edit. Where the file is not
// vmhuge's to write, as on an immutable system, the user is told what to put
// there. false: there is nothing to change.
func (f *Finding) mendFile(h Host, e fileEdit, text string) (bool, error) {
	changes, err := e.changes(h)
	var held heldError
	if errors.As(err, &held) {
		f.Have += "; " + held.Error()
		f.Do = "put into " + e.path + ", by the means of whatever makes that file: " + text
		return true, nil
	}
	if err != nil || len(changes) == 0 {
		return false, err
	}
	f.mend(changes...)
	return true, nil
}
