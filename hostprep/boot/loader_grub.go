package boot

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
)

// grub is the GRUB whose menu is made by grub-mkconfig, a shell script that reads
// /etc/default/grub and then, where the distribution has added that, the files in
// grub.d in the order of their names.
var grub = loader{
	name: "GRUB",
	find: findGrub,
	lines: func(files []cmdline.File) []cmdline.Line {
		return []cmdline.Line{{File: cmdline.GrubDefaults, Text: cmdline.GrubLine(files)}}
	},
	own: func(ours string) string {
		return "# Huge pages for guests, by vmhuge prepare. vmhuge undo removes this file.\n" +
			`GRUB_CMDLINE_LINUX_DEFAULT="` + cmdline.With("$GRUB_CMDLINE_LINUX_DEFAULT", ours) + "\"\n"
	},
}

func findGrub(h host.Host) ([]cmdline.File, bool, error) {
	defaults, err := h.ReadIfThere(cmdline.GrubDefaults)
	if err != nil || defaults == "" {
		return nil, false, err
	}
	script := ""
	for _, file := range []string{"/usr/sbin/grub-mkconfig", "/usr/bin/grub-mkconfig", "/usr/sbin/grub2-mkconfig", "/usr/bin/grub2-mkconfig"} {
		text, err := h.ReadIfThere(file)
		if err != nil {
			return nil, false, err
		}
		script = cmp.Or(script, text)
	}
	if script == "" {
		return nil, false, nil
	}
	files := []cmdline.File{{Path: cmdline.GrubDefaults, Text: defaults, Edited: true}}
	if !strings.Contains(script, "default/grub.d") {
		return files, true, nil
	}
	files[0].Edited = false
	names, err := h.NamesIn(path.Dir(cmdline.GrubFile))
	if err != nil {
		return nil, false, err
	}
	names = append(names, path.Base(cmdline.GrubFile))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !strings.HasSuffix(name, ".cfg") || strings.HasPrefix(name, ".") {
			continue
		}
		file := path.Join(path.Dir(cmdline.GrubFile), name)
		text, err := h.ReadIfThere(file)
		if err != nil {
			return nil, false, err
		}
		files = append(files, cmdline.File{Path: file, Text: text, Own: file == cmdline.GrubFile, Edited: file == cmdline.GrubFile})
	}
	return files, true, nil
}

// lastToSet returns the last of the files that sets GRUB's variable.
func (b booted) lastToSet(file string) string {
	for _, f := range b.files {
		if !f.Own && strings.Contains(f.Text, "GRUB_CMDLINE_LINUX_DEFAULT=") {
			file = f.Path
		}
	}
	return file
}
