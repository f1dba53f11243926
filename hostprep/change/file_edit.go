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

// FileEdit is an edit of a small text file, which may be missing.
type FileEdit struct {
	Path  string
	Fresh string // mode and owner of a new file: 0644 0:0
	Dirs  string // mode and owner of missing folders
	// Edit returns the new text; that of a missing file is "".
	Edit func(text string) (string, error)
}

// SystemFile is an edit of a file that root owns and everybody may read.
func SystemFile(path string, edit func(string) (string, error)) FileEdit {
	return FileEdit{Path: path, Fresh: "0644 0:0", Dirs: "0755 0:0", Edit: edit}
}

// WithLine returns an edit that adds a line, unless the text has it.
func WithLine(line string) func(string) (string, error) {
	return func(text string) (string, error) {
		if slices.ContainsFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == line }) {
			return text, nil
		}
		return hostfs.AddLine(text, line), nil
	}
}

// HeldError says why vmhuge can't write a file.
type HeldError string

func (e HeldError) Error() string { return string(e) }

// Changes returns the changes that make the edit; none if it changes nothing.
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
				return nil, HeldError(dir + " is a symbolic link, or not a folder")
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

// readOnly says whether a path is on a read-only mount.
func readOnly(h host.Host, path string) (bool, error) {
	mounts, err := h.MountTable()
	if err != nil {
		return false, err
	}
	i := host.MountAt(mounts, h.Resolve(path))
	return i >= 0 && (mounts[i].Flags.Has("ro") || mounts[i].Options.Has("ro")), nil
}
