package host

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenDir opens a folder of the host step by step, refusing symbolic links
// below the root.
func (h Host) OpenDir(dir string) (int, error) {
	fd, err := unix.Open(h.Root.Path(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for _, name := range slices.DeleteFunc(strings.Split(dir, "/"), func(s string) bool { return s == "" }) {
		if err != nil {
			break
		}
		parent := fd
		fd, err = Openat(parent, name)
		unix.Close(parent)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return fd, nil
}

// Openat opens a folder and nothing else: a symbolic link is ENOTDIR.
func Openat(parent int, name string) (int, error) {
	return unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// IrregularError is the error of something that is no file to read or replace.
type IrregularError string

func (e IrregularError) Error() string { return "it is " + string(e) }

// LogTail is how much of a log is looked at, from its end: a start is some 10
// KiB of command line, and a few lines.
const LogTail = 1 << 20

func (h Host) ReadTail(dir, name string) (string, error) {
	parent, err := h.OpenDir(dir)
	if err != nil {
		if told := (*fs.PathError)(nil); errors.As(err, &told) {
			err = told.Err
		}
		return "", err
	}
	defer unix.Close(parent)
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) {
		return "", IrregularError("a symbolic link")
	}
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", IrregularError("no regular file")
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-LogTail), LogTail))
	return string(text), err
}
