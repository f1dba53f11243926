package host

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// DropIns lists the files of several folders whose names end in .conf, in the
// order of their names. Of two of one name the first folder's counts, as in
// sysctl.d(5) and systemd.unit(5).
func (h Host) DropIns(dirs []string) ([]string, error) {
	files := map[string]string{} // by name
	for _, dir := range dirs {
		names, err := h.NamesIn(dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if files[name] == "" && strings.HasSuffix(name, ".conf") {
				files[name] = path.Join(dir, name)
			}
		}
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		list = append(list, files[name])
	}
	return list, nil
}

// NamesIn lists the files in a folder, sorted; a missing one is empty.
func (h Host) NamesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(h.Root.Path(dir))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}
