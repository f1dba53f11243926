package change

import (
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
)

// EntriesAt reads the file, or the entries in the folder, at a path.
func (c Change) EntriesAt(parent int, name string) (dir int, files []Change, err error) {
	dir, names := parent, []string{name}
	if fd, err := host.Openat(parent, name); err == nil {
		dir = fd
		names, err = readNames(fd)
		if err != nil {
			unix.Close(fd)
			return -1, nil, err
		}
	} else if dir, err = host.Openat(parent, "."); err != nil {
		return -1, nil, err
	}
	for _, n := range names {
		f := Change{Kind: KindFile, Path: c.Path}
		if n != name {
			f.Path = path.Join(c.Path, n)
		}
		f.From, err = f.findFile(dir, n)
		if err != nil {
			break
		}
		if n == name || cmdline.IsEntry(n, f.From) {
			files = append(files, f)
		}
	}
	if err == nil && (len(files) == 0 || files[0].From == "") {
		err = unix.ENOENT
	}
	if err != nil {
		unix.Close(dir)
	}
	return dir, files, err
}

func readNames(dir int) ([]string, error) {
	fd, err := host.Openat(dir, ".")
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// findArgs returns what is ours on a command line. Of several entries it is
// From, as long as one has that: a kill may have left some changed, and a new
// kernel's are copies.
func (c Change) findArgs(parent int, name string) (string, error) {
	dir, files, err := c.EntriesAt(parent, name)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	var all []string
	for _, f := range files {
		_, text, _ := strings.Cut(f.From, "\n")
		ours, err := cmdline.OursIn(f.Path, text)
		if err != nil {
			return "", err
		}
		all = append(all, ours)
	}
	if slices.Contains(all, c.From) {
		return c.From, nil
	}
	return all[0], nil
}
