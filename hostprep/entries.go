package hostprep

import "path"

// entriesOfGrub returns /etc/default/grub and the boot entries of a GRUB that
// makes its menu of them, as Red Hat's does; no entries: it makes its menu
// otherwise, or there is no GRUB.
func (h Host) entriesOfGrub() (defaults string, entries []loaderFile, err error) {
	defaults, err = h.readIfThere(grubDefaults)
	if err != nil || grubSettings([]loaderFile{{text: defaults}})["GRUB_ENABLE_BLSCFG"] != "true" {
		return "", nil, err
	}
	entries, err = h.readEntries(grubEntryDir)
	return defaults, entries, err
}

// readEntries reads the entries of a folder that start Linux.
func (h Host) readEntries(dir string) ([]loaderFile, error) {
	names, err := h.namesIn(dir)
	var files []loaderFile
	for _, name := range names {
		text, err := h.readIfThere(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if isEntry(name, text) {
			files = append(files, loaderFile{path: path.Join(dir, name), text: text, edited: true})
		}
	}
	return files, err
}
