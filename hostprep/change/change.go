// Package change describes a change of the host as data, and finds out what is there
// of it now. It never writes: making a change is package journal's part.
package change

import (
	"path"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// Change is one change of the host, as data: what Path names is From, and becomes To.
type Change struct {
	Kind Kind   `json:"kind"`
	Path string `json:"path"`
	From string `json:"from"`
	To   string `json:"to"`
	// Source is the program that is copied, as this process sees it.
	Source string `json:"source,omitempty"`
	// EachBoot says that the host repeats the change at each boot, because of a file
	// on the same record.
	EachBoot bool `json:"each_boot,omitempty"`
}

// Look returns what a path has now, written as From and To of the kind are.
func Look(h host.Host, kind Kind, file string) (string, error) {
	return Change{Kind: kind, Path: file}.Now(h)
}

// Now returns what the change's Path has now, written as From and To are.
func (c Change) Now(h host.Host) (string, error) {
	dir, name := path.Split(path.Clean(c.Path))
	parent, err := h.OpenDir(dir)
	if err != nil {
		return "", err
	}
	defer unix.Close(parent)
	return c.Find(h, parent, name)
}

// Find is Now where the folder of Path is open already.
func (c Change) Find(h host.Host, parent int, name string) (string, error) {
	return c.kind().find(c, h, parent, name)
}
