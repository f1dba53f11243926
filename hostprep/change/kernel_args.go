package change

import (
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
)

// KindKernelArgs changes vmhuge's options on the kernel's command line:
// hugepagesz=1G hugepages=2. Path is a file of the boot loader's, or the folder of its
// entries, which are then changed together.
const KindKernelArgs Kind = "kernel-args"

var kernelArgs = kind{
	name: KindKernelArgs,
	find: func(c Change, _ host.Host, parent int, name string) (string, error) {
		return c.findArgs(parent, name)
	},
	line:   func(c Change) string { return "edit " + c.Path + ":" + editedLines(c.From, c.To) },
	onDisk: always,
}

// EntriesAt reads the file that Path names, or the boot entries in that folder: each
// as a change of KindFile whose From is there. dir is the folder they are in; the caller
// closes it.
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
		f.From, err = readText(f.Path, dir, n)
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

// findArgs returns vmhuge's options on a command line. Of several entries it is
// From as long as one has that: a kill may have left the change half made, and a new
// kernel's entry is a copy of one that may be changed already.
func (c Change) findArgs(parent int, name string) (string, error) {
	dir, files, err := c.EntriesAt(parent, name)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	var all []string
	for _, f := range files {
		ours, err := cmdline.OursIn(f.Path, TextOf(f.From))
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
