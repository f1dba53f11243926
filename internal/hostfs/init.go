package hostfs

import (
	"errors"
	"io/fs"
	"os"
)

// SeenByInit says whether process 1 has the same file or folder at a path. It has another or
// none where this process, or process 1, has mounts of its own. Where process 1 is not to be
// seen, it is taken for the same.
func (r Root) SeenByInit(elem ...string) (bool, error) {
	here, err := os.Stat(r.Path(elem...))
	if err != nil {
		return false, err
	}
	init := []string{"proc", "1", "root"}
	if _, err := os.Stat(r.Path(init...)); err != nil {
		return true, nil
	}
	there, err := os.Stat(r.Path(append(init, elem...)...))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist), nil
	}
	return os.SameFile(here, there), nil
}
