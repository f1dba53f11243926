package boot

import (
	"os"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
)

// grubEntries is Red Hat's GRUB, which makes its menu of entries as systemd-boot does.
// vmhuge does not call grubby: that takes a second hugepagesz= for a new value of the
// first. It edits what grubby would: the entries, the variables of grubenv that these
// refer to, and what new entries are made from.
var grubEntries = loader{name: "GRUB with boot entries", find: findGrubEntries, lines: cmdline.Lines}

func findGrubEntries(h host.Host) ([]cmdline.File, bool, error) {
	defaults, files, err := cmdline.GrubEntries(h)
	if err != nil || len(files) == 0 {
		return nil, false, err
	}
	grubenv := "/boot/grub2/grubenv"
	if to, err := os.Readlink(h.Root.Path(grubenv)); err == nil && !path.IsAbs(to) {
		grubenv = path.Join(path.Dir(grubenv), to) // on the EFI system partition
	}
	env, err := h.ReadIfThere(grubenv)
	if err != nil {
		return nil, false, err
	}
	if slices.ContainsFunc(files, func(f cmdline.File) bool { return strings.Contains(f.Text, "$kernelopts") }) {
		for i := range files {
			files[i].Edited = false
		}
		files = append(files, cmdline.File{Path: grubenv, Text: env, Edited: true})
	} else if env != "" {
		files = append(files, cmdline.File{Path: grubenv, Text: env})
	}
	files = append(files, cmdline.File{Path: cmdline.GrubDefaults, Text: defaults, Edited: true})
	return withKernelInstall(h, files)
}
