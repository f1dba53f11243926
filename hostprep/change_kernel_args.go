package hostprep

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The command line in a file of a boot loader's.
var (
	entryOptions = regexp.MustCompile(`(?m)^options[ \t]+(.*)$`)
	entryOfLinux = regexp.MustCompile(`(?m)^linux[ \t]`)
	grubenvLine  = regexp.MustCompile(`(?m)^kernelopts=(.*)$`)
	grubDefault  = regexp.MustCompile(`(?m)^[ \t]*GRUB_CMDLINE_LINUX_DEFAULT=["']([^"'\n]*)["'][ \t]*(?:#.*)?$`)
	grubAll      = regexp.MustCompile(`(?m)^[ \t]*GRUB_CMDLINE_LINUX=["']([^"'\n]*)["'][ \t]*(?:#.*)?$`)
	cmdlineText  = regexp.MustCompile(`(?m)^[ \t]*([^# \t\n].*)$`)
)

// cmdlineIn finds the command line in a file's text, text[from:to]: the last
// one, as the last words are what the kernel reads last.
func cmdlineIn(file, text string) (from, to int, err error) {
	patterns, example := []*regexp.Regexp{cmdlineText}, "root=… ro" // /etc/kernel/cmdline
	switch name := path.Base(file); {
	case strings.HasSuffix(name, ".conf"):
		patterns, example = []*regexp.Regexp{entryOptions}, "options root=… ro"
	case name == "grubenv":
		patterns, example = []*regexp.Regexp{grubenvLine}, "kernelopts=root=… ro"
	case name == "grub":
		// The first is not on the command line of the recovery mode, which is
		// where a host that was asked for too many pages can still be mended.
		patterns, example = []*regexp.Regexp{grubDefault, grubAll}, `GRUB_CMDLINE_LINUX_DEFAULT=""`
	}
	for _, pattern := range patterns {
		if all := pattern.FindAllStringSubmatchIndex(text, -1); len(all) > 0 {
			m := all[len(all)-1]
			return m[2], m[3], nil
		}
	}
	return 0, 0, fmt.Errorf("%s has no line that vmhuge can add to, such as %s", file, example)
}

// oursIn returns what is ours in a boot loader's file.
func oursIn(file, text string) (string, error) {
	from, to, err := cmdlineIn(file, text)
	return oursOn(text[from:to]), err
}

// putOurs puts ours on the command line in a boot loader's file. All else of
// the file stays as it is.
func putOurs(file, text, ours string) (string, error) {
	from, to, err := cmdlineIn(file, text)
	if err != nil {
		return "", err
	}
	edited := text[:from] + withOurs(text[from:to], ours) + text[to:]
	if path.Base(file) != "grubenv" {
		return edited, nil
	}
	// GRUB writes into the blocks of this file, so that its size must stay.
	end := ""
	if strings.HasSuffix(edited, "#\n") {
		end = "\n"
	}
	edited = strings.TrimRight(strings.TrimSuffix(edited, end), "#")
	if room := len(text) - len(edited) - len(end); room >= 0 {
		return edited + strings.Repeat("#", room) + end, nil
	}
	return "", fmt.Errorf("%s has no room for %s", file, ours)
}

// isEntry says that a file of a folder of boot entries starts Linux and is not
// there for rescue, which shall work whatever was asked for.
func isEntry(name, text string) bool {
	return strings.HasSuffix(name, ".conf") && !strings.Contains(name, "rescue") && entryOfLinux.MatchString(text)
}

// entriesAt reads the file, or the entries in the folder, at a path.
func (c Change) entriesAt(parent int, name string) (dir int, files []Change, err error) {
	dir, names := parent, []string{name}
	if fd, err := openat(parent, name); err == nil {
		dir = fd
		names, err = readNames(fd)
		if err != nil {
			unix.Close(fd)
			return -1, nil, err
		}
	} else if dir, err = openat(parent, "."); err != nil {
		return -1, nil, err
	}
	for _, n := range names {
		f := Change{Kind: KindFile, Path: c.Path}
		if n != name {
			f.Path = path.Join(c.Path, n)
		}
		f.From, err = f.findFile(dir, n)
		if err != nil {
			break
		}
		if n == name || isEntry(n, f.From) {
			files = append(files, f)
		}
	}
	if err == nil && (len(files) == 0 || files[0].From == "") {
		err = unix.ENOENT
	}
	if err != nil {
		unix.Close(dir)
	}
	return dir, files, err
}

func readNames(dir int) ([]string, error) {
	fd, err := openat(dir, ".")
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// findArgs returns what is ours on a command line. Of several entries it is
// From, as long as one has that: a kill may have left some changed, and a new
// kernel's are copies.
func (c Change) findArgs(parent int, name string) (string, error) {
	dir, files, err := c.entriesAt(parent, name)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	var all []string
	for _, f := range files {
		_, text, _ := strings.Cut(f.From, "\n")
		ours, err := oursIn(f.Path, text)
		if err != nil {
			return "", err
		}
		all = append(all, ours)
	}
	if slices.Contains(all, c.From) {
		return c.From, nil
	}
	return all[0], nil
}

// setArgs puts To where From is.
func (c Change) setArgs(parent int, name string) error {
	dir, files, err := c.entriesAt(parent, name)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for _, f := range files {
		head, text, _ := strings.Cut(f.From, "\n")
		if ours, err := oursIn(f.Path, text); err != nil || ours != c.From {
			continue
		}
		text, err := putOurs(f.Path, text, c.To)
		if err != nil {
			return err
		}
		f.To = head + "\n" + text
		if err := f.writeFile(dir, path.Base(f.Path)); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return nil
}
