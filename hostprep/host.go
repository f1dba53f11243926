// Package hostprep looks at a host, says what keeps a guest from starting on
// huge pages, changes it and takes the change back.
package hostprep

import (
	"path/filepath"

	"vmhuge/internal/hostfs"
)

// Host is one host, seen through its files.
type Host struct{ Root hostfs.Root }

// real says that the files are the running kernel's own, which can be asked
// what a fixture tree can not.
func (h Host) real() bool { return h.Root.Path() == "/" }

// resolve returns the path without symbolic links, as the kernel names it in
// mountinfo. A path that does not exist is returned clean.
func (h Host) resolve(path string) string {
	if h.real() {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
	}
	return filepath.Clean(path)
}
