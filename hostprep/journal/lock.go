package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vmhuge/internal/advice"
)

// unfinished lists the temporary files of writes that were killed.
func (j Journal) unfinished() []string {
	files, _ := filepath.Glob(filepath.Join(j.Host.Root.Path(journalDir...), ".tmp-*"))
	return files
}

// abandoned says whether a kill has left files though nothing is on record: temporary
// ones, or the empty folder.
func (j Journal) abandoned() bool {
	files, err := os.ReadDir(j.Host.Root.Path(journalDir...))
	return err == nil && (len(files) == 0 || len(j.unfinished()) > 0)
}

// lock keeps other vmhuge processes out until unlock, or until this one ends.
func (j Journal) lock() (unlock func(), err error) {
	path := j.Host.Root.Path(journalDir...)
	for {
		if err := os.MkdirAll(path, 0o700); errors.Is(err, fs.ErrExist) {
			continue // another process has removed it in between
		} else if err != nil {
			return nil, advice.Wrap(err, "recording changes", "run vmhuge as root")
		}
		dir, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has removed the empty folder in between
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
		// The folder may also have been removed while this process waited for the lock.
		locked, err1 := dir.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(locked, there) {
			for _, file := range j.unfinished() { // nobody is writing them: that takes the lock
				_ = os.Remove(file)
			}
			return func() { dir.Close() }, nil
		}
		dir.Close()
	}
}
