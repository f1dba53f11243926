package journal

import (
	"slices"
	"strings"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
)

// reader is a program that must be told when a file that it reads has changed.
type reader string

// The readers of changed files.
const (
	toSystemd reader = "systemd" // its units and drop-ins
	toGrub    reader = "grub"    // what its menu is made from
)

// readerOf returns who must be told of a change, "" for nobody.
func readerOf(c change.Change) reader {
	switch {
	case host.Within(c.Path, "/etc/systemd/system"):
		return toSystemd
	case host.Within(c.Path, "/etc/default/grub"), host.Within(c.Path, "/etc/default/grub.d"):
		return toGrub
	}
	return ""
}

// readersOf returns who must be told of changes, each once.
func readersOf(changes []change.Change) []reader {
	var readers []reader
	for _, c := range changes {
		if r := readerOf(c); r != "" && !slices.Contains(readers, r) {
			readers = append(readers, r)
		}
	}
	return readers
}

// commands are the ways to tell a reader. The first that is installed is used.
func (r reader) commands() [][]string {
	if r == toGrub {
		return [][]string{
			{"update-grub"}, // Debian
			{"grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"},
			{"grub-mkconfig", "-o", "/boot/grub/grub.cfg"},
		}
	}
	return [][]string{{"systemctl", "daemon-reload"}}
}

// tell tells readers that their files have changed. The readers of a fixture tree do
// not run.
func tell(h host.Host, readers []reader) error {
	if !h.Real() {
		return nil
	}
	for _, r := range readers {
		if r == toSystemd && !h.BootedWithSystemd() {
			continue // systemd does not run: it reads them when it starts
		}
		if _, entries, err := cmdline.GrubEntries(h); r == toGrub && err == nil && len(entries) > 0 {
			continue // GRUB reads the entries themselves, and its menu has none
		}
		if err := RunFirst(r.commands()...); err != nil {
			return advice.Wrap(err, "telling "+string(r)+" of changed files", "run "+strings.Join(r.commands()[0], " ")+", and see why it fails")
		}
	}
	return nil
}
