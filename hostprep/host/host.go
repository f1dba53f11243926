// Package host reads one host: a method for each file of /proc, /sys and /etc that matters
// to huge pages. It never writes.
package host

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"

	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
)

// Host is one host, seen through its files.
type Host struct {
	Root  hostfs.Root
	cache *sync.Map // see Snapshot
}

// Real says that the files are the running kernel's own, which can be asked
// what a fixture tree can not.
func (h Host) Real() bool { return h.Root.Path() == "/" }

// Resolve returns the path without symbolic links, as the kernel names it in
// mountinfo. A path that does not exist is returned clean.
func (h Host) Resolve(path string) string {
	if h.Real() {
		if real, err := Once(h, cacheKey("real path of "+path), func() (string, error) { return filepath.EvalSymlinks(path) }); err == nil {
			return real
		}
	}
	return filepath.Clean(path)
}

// ReadIfThere reads a file; one that is not there is empty.
func (h Host) ReadIfThere(path string) (string, error) {
	text, err := Once(h, cacheKey("text of "+path), func() (string, error) { return h.Root.Read(path) })
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

// Pools reads every pool.
func (h Host) Pools() (pool.State, error) {
	return Once(h, cacheKey("pools"), func() (pool.State, error) { return pool.Read(h.Root) })
}

// Pending is what other guests that are starting will yet take.
func (h Host) Pending(uuid string) ([]pool.Pending, error) {
	all, err := Once(h, cacheKey("pending"), func() (map[string][]pool.Pending, error) { return ledger.ReadPendings(h.Root) })
	var others []pool.Pending
	for of, pending := range all {
		if of != uuid {
			others = append(others, pending...)
		}
	}
	return others, err
}

// BootedWithSystemd is sd_booted(3).
func (h Host) BootedWithSystemd() bool {
	st, err := h.Lstat("/run/systemd/system")
	return err == nil && st != nil && IsDir(st)
}
