// Package hostprep looks at a host, says what keeps a guest from starting on
// huge pages, changes it and takes the change back.
package hostprep

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
)

// Host is one host, seen through its files.
type Host struct {
	Root hostfs.Root
	seen *sync.Map // see Remember
}

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

// readIfThere reads a file; one that is not there is empty.
func (h Host) readIfThere(path string) (string, error) {
	text, err := once(h, "text of "+path, func() (string, error) { return h.Root.Read(path) })
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

// Pools reads every pool.
func (h Host) Pools() (pool.State, error) {
	return once(h, "pools", func() (pool.State, error) { return pool.Read(h.Root) })
}

// Pending is what other guests that are starting will yet take.
func (h Host) Pending(uuid string) ([]pool.Pending, error) {
	all, err := once(h, "pending", func() (map[string][]pool.Pending, error) { return pool.ReadPendings(h.Root) })
	var others []pool.Pending
	for of, pending := range all {
		if of != uuid {
			others = append(others, pending...)
		}
	}
	return others, err
}
