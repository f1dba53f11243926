// Package cmdline finds and edits the kernel's command line in a boot loader's file: text
// in, text out.
package cmdline

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
)

const (
	KernelInstall = "/etc/kernel/cmdline" // that of kernels yet to be installed, kernel-install(8)
	GrubDefaults  = "/etc/default/grub"
	GrubFile      = "/etc/default/grub.d/vmhuge.cfg"
	GrubEntryDir  = "/boot/loader/entries"
)

var grubAssignment = regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)(\+?)=("(?:[^"\\]|\\.)*"|'[^']*'|[^ \t;]*)`)

// GrubSettings reads the settings of /etc/default/grub and of the files after
// it, which are shell: assignments, with variables in them. Of what else a shell
// could make of them the words are kept, so that an option is not overlooked.
//
//	GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"
//	GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=ttyS0"
func GrubSettings(files []File) map[string]string {
	set := map[string]string{}
	for _, f := range files {
		for line := range strings.Lines(strings.ReplaceAll(f.Text, "\\\n", "")) {
			m := grubAssignment.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				continue
			}
			name, value := m[1], m[3]
			switch {
			case strings.HasPrefix(value, "'"):
				value = strings.Trim(value, "'")
			case strings.Contains(value, "$(") || strings.Contains(value, "`"):
				value = strings.Trim(value, `"`)
			default:
				value = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`), `\"`, `"`)
				value = os.Expand(value, func(name string) string { return set[name] })
			}
			if m[2] != "" {
				value = set[name] + value
			}
			set[name] = value
		}
	}
	return set
}

// The command line in a file of a boot loader's.
var (
	EntryOptions = regexp.MustCompile(`(?m)^options[ \t]+(.*)$`)
	entryOfLinux = regexp.MustCompile(`(?m)^linux[ \t]`)
	grubenvLine  = regexp.MustCompile(`(?m)^kernelopts=(.*)$`)
	grubDefault  = regexp.MustCompile(`(?m)^[ \t]*GRUB_CMDLINE_LINUX_DEFAULT=["']([^"'\n]*)["'][ \t]*(?:#.*)?$`)
	grubAll      = regexp.MustCompile(`(?m)^[ \t]*GRUB_CMDLINE_LINUX=["']([^"'\n]*)["'][ \t]*(?:#.*)?$`)
	cmdlineText  = regexp.MustCompile(`(?m)^[ \t]*([^# \t\n].*)$`)
)

// Find finds the command line in a file's text, text[from:to]: the last
// one, as the last words are what the kernel reads last.
func Find(file, text string) (from, to int, err error) {
	patterns, example := []*regexp.Regexp{cmdlineText}, "root=… ro" // /etc/kernel/cmdline
	switch name := path.Base(file); {
	case strings.HasSuffix(name, ".conf"):
		patterns, example = []*regexp.Regexp{EntryOptions}, "options root=… ro"
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

// OursIn returns what is ours in a boot loader's file.
func OursIn(file, text string) (string, error) {
	from, to, err := Find(file, text)
	return Ours(text[from:to]), err
}

// PutIn puts ours on the command line in a boot loader's file. All else of
// the file stays as it is.
func PutIn(file, text, ours string) (string, error) {
	from, to, err := Find(file, text)
	if err != nil {
		return "", err
	}
	edited := text[:from] + With(text[from:to], ours) + text[to:]
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

// IsEntry says that a file of a folder of boot entries starts Linux and is not
// there for rescue, which shall work whatever was asked for.
func IsEntry(name, text string) bool {
	return strings.HasSuffix(name, ".conf") && !strings.Contains(name, "rescue") && entryOfLinux.MatchString(text)
}

var endOfOptions = regexp.MustCompile(`(?:^|[ \t])--(?:[ \t]|$)`)

// What is ours stands between two marks, so that it is known again on the
// running kernel's command line and wherever a new kernel's has been copied
// from. The kernel takes a word with a dot for an option of a module that is
// not loaded, and says nothing of it (unknown_bootoption in init/main.c).
const (
	Begin = "vmhuge.begin"
	End   = "vmhuge.end"
)

var Marked = regexp.MustCompile(`[ \t]vmhuge\.begin((?:[ \t]+[^ \t]+)*?)[ \t]+vmhuge\.end\b|^vmhuge\.begin((?:[ \t]+[^ \t]+)*?)[ \t]+vmhuge\.end\b[ \t]?`)

// Ours returns what of a command line is ours.
func Ours(line string) string {
	m := Marked.FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return strings.TrimSpace(m[1] + m[2])
}

// With puts ours last on a command line, in place of what was ours; "":
// nothing. All else of it stays as it is. Last, because a hugepages= that
// follows would be taken for our size.
func With(line, ours string) string {
	line = Marked.ReplaceAllString(line, "")
	if ours == "" {
		return line
	}
	ours = Begin + " " + ours + " " + End
	if at := endOfOptions.FindStringIndex(line); at != nil { // what follows is for init
		if at[0] == 0 {
			return ours + " " + line
		}
		return line[:at[0]] + " " + ours + line[at[0]:]
	}
	if line == "" {
		return ours
	}
	return line + " " + ours
}
