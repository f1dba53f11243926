package journal

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/cmdline"
)

// setArgs puts To where From is.
func setArgs(c change.Change, parent int, name string) error {
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
		if err := writeFile(f, dir, path.Base(f.Path)); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return nil
}
