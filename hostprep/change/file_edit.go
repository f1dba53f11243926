package change

import (
	"cmp"
	"errors"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/hostfs"
)

// FileEdit is what shall become of a small text file.
type FileEdit struct {
	Path  string
	Fresh string // mode and owner of a new one: 0644 0:0
	Dirs  string // and of the folders that it lacks
	// edit returns what the text shall be; of a file that is not there it is "".
	Edit func(text string) (string, error)
}

// SystemFile is an edit of a file of root's that everybody reads.
func SystemFile(path string, edit func(string) (string, error)) FileEdit {
	return FileEdit{Path: path, Fresh: "0644 0:0", Dirs: "0755 0:0", Edit: edit}
}

// WithLine edits a text so that a line is among its lines.
func WithLine(line string) func(string) (string, error) {
	return func(text string) (string, error) {
		if slices.ContainsFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == line }) {
			return text, nil
		}
		return hostfs.AddLine(text, line), nil
	}
}

// HeldError says why a file is not vmhuge's to write.
type HeldError string

func (e HeldError) Error() string { return string(e) }

// Changes returns what makes the edit: none if the file is as it shall be.
func (e FileEdit) Changes(h host.Host) ([]Change, error) {
	var changes []Change
	dir := ""
	for _, name := range strings.Split(path.Dir(e.Path), "/")[1:] {
		dir += "/" + name
		if len(changes) == 0 {
			st, err := h.Lstat(dir)
			if err != nil {
				return nil, err
			}
			if st != nil && !host.IsDir(st) {
				return nil, HeldError(dir + " is a symbolic link, or no folder")
			}
			if st != nil {
				continue
			}
		}
		changes = append(changes, Change{Kind: KindMkdir, Path: dir, To: e.Dirs})
	}
	state := ""
	if len(changes) == 0 {
		var err error
		var irregular host.IrregularError
		if state, err = Look(h, KindFile, e.Path); errors.As(err, &irregular) {
			return nil, HeldError(e.Path + " is" + strings.TrimPrefix(irregular.Error(), "it is"))
		} else if err != nil {
			return nil, err
		}
	}
	owner, text, _ := strings.Cut(state, "\n")
	want, err := e.Edit(text)
	if err != nil || want == text {
		return nil, err
	}
	if readOnly, err := readOnly(h, e.Path); err != nil || readOnly {
		return nil, cmp.Or(err, error(HeldError(e.Path+" is on a read-only file system")))
	}
	return append(changes, Change{Kind: KindFile, Path: e.Path, From: state, To: cmp.Or(owner, e.Fresh) + "\n" + want}), nil
}

// readOnly says whether a path lies on a mount that nobody may write to.
func readOnly(h host.Host, path string) (bool, error) {
	mounts, err := h.MountTable()
	if err != nil {
		return false, err
	}
	i := host.MountAt(mounts, h.Resolve(path))
	return i >= 0 && (slices.Contains(mounts[i].Flags, "ro") || slices.Contains(mounts[i].Options, "ro")), nil
}
