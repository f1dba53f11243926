package cmdline

import (
	"path"

	"vmhuge/hostprep/host"
)

// GrubEntries returns /etc/default/grub and the boot entries of a GRUB that
// makes its menu of them, as Red Hat's does; no entries: it makes its menu
// otherwise, or there is no GRUB.
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
