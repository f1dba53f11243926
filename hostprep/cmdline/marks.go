package cmdline

import (
	"strings"

	"vmhuge/internal/lazyregexp"
)

var endOfOptions = lazyregexp.New(`(?:^|[ \t])--(?:[ \t]|$)`)

// vmhuge's options stand between two marks, so that vmhuge finds them again: on the
// running kernel's command line, and in what the system has copied for a new kernel. The
// kernel takes a word with a dot for an option of a module that is not loaded, and
// ignores it (unknown_bootoption in init/main.c).
const (
	Begin = "vmhuge.begin"
	End   = "vmhuge.end"
)

// Marked finds the marks and what is between them.
var Marked = lazyregexp.New(`[ \t]vmhuge\.begin((?:[ \t]+[^ \t]+)*?)[ \t]+vmhuge\.end\b|^vmhuge\.begin((?:[ \t]+[^ \t]+)*?)[ \t]+vmhuge\.end\b[ \t]?`)

// Ours returns vmhuge's options on a command line.
func Ours(line string) string {
	m := Marked.Get().FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return strings.TrimSpace(m[1] + m[2])
}

// With puts ours last on a command line, in place of vmhuge's former options; "": takes
// those out. All else stays as it is. Last, because the kernel would take a hugepages=
// that follows to be of our size.
func With(line, ours string) string {
	line = Marked.Get().ReplaceAllString(line, "")
	if ours == "" {
		return line
	}
	ours = Begin + " " + ours + " " + End
	if at := endOfOptions.Get().FindStringIndex(line); at != nil { // what follows is for init
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
