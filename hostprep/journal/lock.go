package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vmhuge/internal/advice"
)

// unfinished is what a write that was killed has left.
func (j Journal) unfinished() []string {
	files, _ := filepath.Glob(filepath.Join(j.Host.Root.Path(journalDir...), ".tmp-*"))
	return files
}

// abandoned says that a kill has left something to take away though nothing is on
// record: an unfinished write, or the empty folder.
func (j Journal) abandoned() bool {
	files, err := os.ReadDir(j.Host.Root.Path(journalDir...))
	return err == nil && (len(files) == 0 || len(j.unfinished()) > 0)
}

// lock keeps other vmhuge processes out until unlock, or until this one ends.
func (j Journal) lock() (unlock func(), err error) {
	path := j.Host.Root.Path(journalDir...)
	for {
		if err := os.MkdirAll(path, 0o700); errors.Is(err, fs.ErrExist) {
			continue // it was there, and is not any more
		} else if err != nil {
			return nil, advice.Wrap(err, "recording changes", "run vmhuge as root")
		}
		dir, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process removes the folder, being done with it
		}
		if err != nil {
			return nil, err
		}
		for err = unix.EINTR; errors.Is(err, unix.EINTR); {
			err = unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		}
		if err != nil {
			dir.Close()
			return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
		}
		// It may also have done so while this one waited.
		locked, err1 := dir.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(locked, there) {
			for _, file := range j.unfinished() { // all who write here have the lock
				_ = os.Remove(file)
			}
			return func() { dir.Close() }, nil
		}
		dir.Close()
	}
}
