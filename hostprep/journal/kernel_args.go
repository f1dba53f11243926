package journal

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
)

var kernelArgs = kind{
	set: setArgs,
	clear: func(c change.Change, parent int, name string) error {
		dir, files, err := c.EntriesAt(parent, name)
		if err != nil {
			return nil // finding From fails as well, and says why
		}
		defer unix.Close(dir)
		for _, f := range files {
			err = errors.Join(err, clearHalf(dir, path.Base(f.Path)))
		}
		return err
	},
}

// setArgs puts To in the place of From, in each entry that has From.
func setArgs(h host.Host, c change.Change, parent int, name string) error {
	dir, files, err := c.EntriesAt(parent, name)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for _, f := range files {
		head, text, _ := strings.Cut(f.From, "\n")
		if ours, err := cmdline.OursIn(f.Path, text); err != nil || ours != c.From {
			continue
		}
		text, err := cmdline.PutIn(f.Path, text, c.To)
		if err != nil {
			return err
		}
		f.To = head + "\n" + text
		if err := file.set(h, f, dir, path.Base(f.Path)); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return nil
}
