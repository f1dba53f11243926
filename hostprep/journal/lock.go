package journal

import (
	"errors"
	"io/fs"
	"os"

	"vmhuge/internal/advice"
)

// abandoned says whether a kill has left files though nothing is on record: temporary
// ones, or the empty folder.
func (j Journal) abandoned() bool {
	files, err := os.ReadDir(j.Host.Root.Path(journalDir...))
	return err == nil && (len(files) == 0 || len(j.Host.Root.Unfinished(journalDir...)) > 0)
}

// lock keeps other vmhuge processes out until unlock, or until this one ends.
func (j Journal) lock() (unlock func(), err error) {
	unlock, err = j.Host.Root.LockFolder(journalDir...)
	if errors.Is(err, fs.ErrPermission) {
		return nil, advice.Wrap(err, "recording changes", advice.Refused(os.Geteuid()))
	}
	if err != nil {
		return nil, advice.About(err, "recording changes")
	}
	return unlock, nil
}
