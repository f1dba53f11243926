package hostfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// LockFolder keeps other vmhuge processes out of a folder that only vmhuge writes into,
// until unlock or until this process ends. It makes the folder if there is none, for nobody
// else to read, and removes what a killed Replace has left there.
func (r Root) LockFolder(elem ...string) (unlock func(), err error) {
	path := r.Path(elem...)
	for {
		if err := os.MkdirAll(path, 0o700); errors.Is(err, fs.ErrExist) {
			continue // another process has removed it in between
		} else if err != nil {
			return nil, err
		}
		dir, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has removed the empty folder in between
		}
		if err != nil {
			return nil, err
		}
		_, err = retry(func() (int, error) { return 0, syscall.Flock(int(dir.Fd()), syscall.LOCK_EX) })
		if err != nil {
			dir.Close()
			return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
		}
		// The folder may also have been removed while this process waited for the lock.
		locked, err1 := dir.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(locked, there) {
			for _, file := range r.Unfinished(elem...) { // nobody is writing them: that takes the lock
				_ = os.Remove(file)
			}
			return func() { dir.Close() }, nil
		}
		dir.Close()
	}
}

// Unfinished lists the files in a folder that Replace has not finished yet, or was killed
// over.
func (r Root) Unfinished(elem ...string) []string {
	files, _ := filepath.Glob(filepath.Join(r.Path(elem...), ".tmp-*"))
	return files
}

// RemoveFolder removes a folder if there is one and nothing is in it. One on which a file
// system is mounted stays.
func (r Root) RemoveFolder(elem ...string) error {
	err := os.Remove(r.Path(elem...))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EBUSY) {
		return nil
	}
	return err
}
