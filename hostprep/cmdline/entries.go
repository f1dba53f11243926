package cmdline

import (
	"os"
	"path"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/lazyregexp"
)

// entry is an entry of the Boot Loader Specification. Its command line is all of its
// options, with the variables of grubenv.
var entry = form{
	is:       func(name string) bool { return strings.HasSuffix(name, ".conf") },
	patterns: []*lazyregexp.Regexp{entryOptions},
	example:  "options root=… ro",
	line: func(text string, variables map[string]string) (string, bool) {
		var options []string
		for _, m := range entryOptions.Get().FindAllStringSubmatch(text, -1) {
			options = append(options, m[1])
		}
		return os.Expand(strings.Join(options, " "), func(name string) string { return variables[name] }), true
	},
	together: true,
}

var (
	entryOptions = lazyregexp.New(`(?m)^options[ \t]+(.*)$`)
	entryOfLinux = lazyregexp.New(`(?m)^linux[ \t]`)
)

// IsEntry says whether a file in a folder of boot entries starts Linux. An entry for
// rescue does not count: it has to work whatever was asked for.
func IsEntry(name, text string) bool {
	return entry.is(name) && !strings.Contains(name, "rescue") && entryOfLinux.Get().MatchString(text)
}

// InEntries says whether a file is one of several entries that are edited together.
func InEntries(file string) bool {
	f, err := formOf(file)
	return err == nil && f.together
}

// GrubEntries returns /etc/default/grub and the boot entries of a GRUB that makes its menu
// of entries, as Red Hat's does; no entries: its menu has another source, or there is no
// GRUB.
func GrubEntries(h host.Host) (defaults string, entries []File, err error) {
	defaults, err = h.ReadIfThere(GrubDefaults)
	if err != nil || GrubSettings([]File{{Text: defaults}})["GRUB_ENABLE_BLSCFG"] != "true" {
		return "", nil, err
	}
	entries, err = ReadEntries(h, GrubEntryDir)
	return defaults, entries, err
}

// ReadEntries reads the entries of a folder that start Linux.
func ReadEntries(h host.Host, dir string) ([]File, error) {
	names, err := h.NamesIn(dir)
	var files []File
	for _, name := range names {
		text, err := h.ReadIfThere(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if IsEntry(name, text) {
			files = append(files, File{Path: path.Join(dir, name), Text: text, Edited: true})
		}
	}
	return files, err
}
