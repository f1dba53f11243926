package hostprep

import (
	"cmp"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"vmhuge/internal/advice"
)

// reader is a program that has read a file and must be told when it changes.
type reader string

// The readers of changed files.
const (
	toSystemd reader = "systemd" // its units and drop-ins
	toGrub    reader = "grub"    // what its menu is made from
)

// reader returns who must be told of a change, "" for nobody.
func (c Change) reader() reader {
	switch {
	case within(c.Path, "/etc/systemd/system"):
		return toSystemd
	case within(c.Path, "/etc/default/grub"), within(c.Path, "/etc/default/grub.d"):
		return toGrub
	}
	return ""
}

// readersOf returns who must be told of changes, each once.
func readersOf(changes []Change) []reader {
	var readers []reader
	for _, c := range changes {
		if r := c.reader(); r != "" && !slices.Contains(readers, r) {
			readers = append(readers, r)
		}
	}
	return readers
}

// commands are the ways to tell a reader; the first that the host has is taken.
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

// tell tells readers of changed files. On a fixture tree nobody listens.
func (h Host) tell(readers []reader) error {
	if !h.real() {
		return nil
	}
	for _, r := range readers {
		if r == toSystemd && !h.bootedWithSystemd() {
			continue // nobody listens yet; it reads them when it starts
		}
		if _, entries, err := h.entriesOfGrub(); r == toGrub && err == nil && len(entries) > 0 {
			continue // GRUB reads the entries themselves, and its menu has none
		}
		if err := run(r.commands()...); err != nil {
			return advice.Wrap(err, "telling "+string(r)+" of changed files", "run "+strings.Join(r.commands()[0], " ")+", and see what it lacks")
		}
	}
	return nil
}

// bootedWithSystemd is sd_booted(3).
func (h Host) bootedWithSystemd() bool {
	st, err := h.lstat("/run/systemd/system")
	return err == nil && st != nil && isDir(st)
}

// run runs the first of some commands that the host has, and says what it said
// where it fails.
func run(commands ...[]string) error {
	for _, command := range commands {
		program, err := exec.LookPath(command[0])
		if err != nil {
			continue
		}
		out, err := exec.Command(program, command[1:]...).CombinedOutput()
		if err != nil {
			said := strings.TrimSpace(string(out))
			return fmt.Errorf("%s: %s", strings.Join(command, " "), cmp.Or(said, err.Error()))
		}
		return nil
	}
	return fmt.Errorf("there is no %s", commands[0][0])
}
