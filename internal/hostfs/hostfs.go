// Package hostfs reads and writes the host's files below one root: / on a
// real host, a fixture tree in tests. Nothing else makes paths of /proc,
// /sys, /etc or /run.
package hostfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Root is the folder that holds the host's /proc, /sys, /etc, /run, /dev.
type Root string

// Path returns the path of a host file such as Path("proc", "meminfo").
func (r Root) Path(elem ...string) string {
	root := string(r)
	if root == "" {
		root = "/"
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

// Read returns a small file whole. It waits for no writer of a fifo, and it does without
// os.ReadFile, which asks for the size and for polling and so needs twice the system calls for a
// file of the kernel's, and the hook reads many.
func (r Root) Read(elem ...string) (string, error) { return read(r.Path(elem...), false) }

// read reads a file up to its end. What is a line may end with the first that a read ends with.
func read(path string, line bool) (string, error) {
	fd, err := retry(func() (int, error) {
		return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	})
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	text := make([]byte, 0, 1024) // stays on the stack
	for {
		n, err := syscall.Read(fd, text[len(text):cap(text)])
		if errors.Is(err, syscall.EINTR) { // by one of the Go runtime's own signals
			continue
		}
		if err != nil {
			return "", &os.PathError{Op: "read", Path: path, Err: err}
		}
		text = text[:len(text)+n]
		if n == 0 || line && text[len(text)-1] == '\n' {
			return string(text), nil
		}
		if len(text) == cap(text) {
			text = slices.Grow(text, 2*len(text))
		}
	}
}

// retry repeats a system call that a signal interrupted, as the Go runtime's
// own signals do.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

// ReadInt reads a kernel file that holds one number. Behind its line nothing is to come.
func (r Root) ReadInt(elem ...string) (int64, error) {
	text, err := read(r.Path(elem...), true)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is not a number", r.Path(elem...), text)
	}
	return n, nil
}

// WriteInt writes a number to a kernel file. The file is never created: a
// wrong name fails in a fixture tree as it does in sysfs.
func (r Root) WriteInt(n int64, elem ...string) error {
	return r.writeInt(n, os.O_TRUNC, elem)
}

// WriteOver is WriteInt without O_TRUNC, which sets the time of a file of sysfs; a write alone
// does not. It is for files of the kernel's, which have no old text to cut off.
func (r Root) WriteOver(n int64, elem ...string) error { return r.writeInt(n, 0, elem) }

func (r Root) writeInt(n int64, flag int, elem []string) error {
	f, err := os.OpenFile(r.Path(elem...), os.O_WRONLY|flag, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.FormatInt(n, 10))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// Replace writes a file whole or not at all: a temporary file beside it,
// fsync, rename, and fsync of the folder, so that a kill or a power cut leaves
// the old text or the new one. The folder must exist.
func (r Root) Replace(data []byte, perm os.FileMode, elem ...string) error {
	path := r.Path(elem...)
	f, err := createBeside(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	dir, err := Open(filepath.Dir(path), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// createBeside makes the file that will replace another one, under a name of this process's
// own. One that a killed process of the same number has left stays for Unfinished.
func createBeside(path string) (*os.File, error) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s/.tmp-%d-%d", filepath.Dir(path), os.Getpid(), n)
		f, err := Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, os.ErrExist) || n == 10000 {
			return f, err
		}
	}
}
