package boot

import (
	"cmp"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
)

// loader is the files from which a host's boot loader makes the command
// lines of the kernels that it starts.
type loader struct {
	files []cmdline.File
	lines func([]cmdline.File) []line
	// byHand is how the user changes the command line, where no file does.
	byHand func(options string) string
}

// line is a kernel's command line, and the file that it comes from.
type line struct{ file, line string }

// findLoader looks for the boot loader that is in charge.
func findLoader(h host.Host) (loader, error) {
	if b := bootedByHand(h); b.byHand != nil {
		return b, nil
	}
	for _, find := range []func(host.Host) (loader, error){systemdBoot, grubEntries, grub} {
		if b, err := find(h); err != nil || len(b.files) > 0 {
			return b, err
		}
	}
	return loader{byHand: func(options string) string {
		return "put " + options + " on the kernel's command line, wherever this machine gets it from, and reboot"
	}}, nil
}

// bootedByHand is a host whose boot loader's files are made by something else,
// which would overwrite them.
func bootedByHand(h host.Host) loader {
	container := func(options string) string {
		return "put " + options + " on the command line of the kernel that runs this container's host, and reboot that"
	}
	ways := []struct {
		mark string
		do   func(options string) string
	}{
		{"/run/systemd/container", container}, {"/.dockerenv", container}, {"/run/.containerenv", container},
		{"/run/ostree-booted", func(options string) string {
			return "rpm-ostree kargs --append=" + strings.ReplaceAll(options, " ", " --append=") + ", and reboot"
		}},
		{"/etc/NIXOS", func(options string) string {
			return `add boot.kernelParams = [ "` + strings.ReplaceAll(options, " ", `" "`) + `" ]; to the configuration, nixos-rebuild boot, and reboot`
		}},
	}
	for _, way := range ways {
		if st, err := h.Lstat(way.mark); err == nil && st != nil {
			return loader{byHand: way.do}
		}
	}
	var st unix.Statfs_t
	if err := unix.Statfs(h.Root.Path("etc"), &st); err == nil && st.Flags&unix.ST_RDONLY != 0 {
		return loader{byHand: func(options string) string {
			return "/etc is read-only: put " + options + " on the kernel's command line in what this system's image is made from, and reboot"
		}}
	}
	return loader{}
}

// systemdBoot is systemd-boot or another that starts what the entries of the
// Boot Loader Specification say, and has no other file.
//
// Source: uapi-group.org/specifications/specs/boot_loader_specification.
func systemdBoot(h host.Host) (loader, error) {
	// What started the kernel tells its name (systemd.io/BOOT_LOADER_INTERFACE).
	info, _ := h.ReadIfThere("/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
	if !strings.Contains(strings.ReplaceAll(info, "\x00", ""), "systemd-boot") {
		if defaults, err := h.ReadIfThere(cmdline.GrubDefaults); err != nil || defaults != "" {
			return loader{}, err
		}
	}
	var files []cmdline.File
	for _, dir := range []string{"/efi/loader/entries", "/boot/loader/entries", "/boot/efi/loader/entries"} {
		entries, err := cmdline.ReadEntries(h, dir)
		if err != nil {
			return loader{}, err
		}
		files = append(files, entries...)
	}
	return withKernelInstall(h, files, entryLines)
}

// grubEntries is the GRUB of Red Hat's, which makes its menu of such entries.
// grubby is not asked: it takes a second hugepagesz= for a new value of the
// first. What it would change is changed here: the entries, what they refer to
// in grubenv, and what new ones are made from.
func grubEntries(h host.Host) (loader, error) {
	defaults, files, err := cmdline.GrubEntries(h)
	if err != nil || len(files) == 0 {
		return loader{}, err
	}
	grubenv := "/boot/grub2/grubenv"
	if to, err := os.Readlink(h.Root.Path(grubenv)); err == nil && !path.IsAbs(to) {
		grubenv = path.Join(path.Dir(grubenv), to) // on the EFI system partition
	}
	env, err := h.ReadIfThere(grubenv)
	if err != nil {
		return loader{}, err
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
	return withKernelInstall(h, files, entryLines)
}

// grub is the GRUB whose menu is made by grub-mkconfig, a script of shell that
// reads /etc/default/grub and, where a distribution has added that, then the
// files in grub.d in the order of their names.
func grub(h host.Host) (loader, error) {
	defaults, err := h.ReadIfThere(cmdline.GrubDefaults)
	if err != nil || defaults == "" {
		return loader{}, err
	}
	script := ""
	for _, file := range []string{"/usr/sbin/grub-mkconfig", "/usr/bin/grub-mkconfig", "/usr/sbin/grub2-mkconfig", "/usr/bin/grub2-mkconfig"} {
		text, err := h.ReadIfThere(file)
		if err != nil {
			return loader{}, err
		}
		script = cmp.Or(script, text)
	}
	if script == "" {
		return loader{}, nil
	}
	files := []cmdline.File{{Path: cmdline.GrubDefaults, Text: defaults, Edited: true}}
	if strings.Contains(script, "default/grub.d") {
		files[0].Edited = false
		names, err := h.NamesIn(path.Dir(cmdline.GrubFile))
		if err != nil {
			return loader{}, err
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
				return loader{}, err
			}
			files = append(files, cmdline.File{Path: file, Text: text, Own: file == cmdline.GrubFile, Edited: file == cmdline.GrubFile})
		}
	}
	return loader{files: files, lines: func(files []cmdline.File) []line {
		return []line{{cmdline.GrubDefaults, grubLine(files)}}
	}}, nil
}

// withKernelInstall adds what entries of new kernels are made from, if it is there.
func withKernelInstall(h host.Host, files []cmdline.File, lines func([]cmdline.File) []line) (loader, error) {
	if len(files) == 0 {
		return loader{}, nil
	}
	text, err := h.ReadIfThere(cmdline.KernelInstall)
	if text != "" {
		files = append(files, cmdline.File{Path: cmdline.KernelInstall, Text: text, Edited: true})
	}
	return loader{files: files, lines: lines}, err
}

// entryLines returns the command line of each file: an entry's is all of its
// options, with the variables of grubenv.
func entryLines(files []cmdline.File) []line {
	env := map[string]string{}
	for _, f := range files {
		if path.Base(f.Path) == "grubenv" {
			for line := range strings.Lines(f.Text) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				env[name] = value
			}
		}
	}
	var lines []line
	for _, f := range files {
		switch {
		case strings.HasSuffix(f.Path, ".conf"):
			var options []string
			for _, m := range cmdline.EntryOptions.FindAllStringSubmatch(f.Text, -1) {
				options = append(options, m[1])
			}
			lines = append(lines, line{f.Path, os.Expand(strings.Join(options, " "), func(name string) string { return env[name] })})
		case f.Path == cmdline.KernelInstall:
			if from, to, err := cmdline.Find(f.Path, f.Text); err == nil {
				lines = append(lines, line{f.Path, f.Text[from:to]})
			}
		case f.Path == cmdline.GrubDefaults:
			lines = append(lines, line{f.Path, grubLine([]cmdline.File{f})})
		}
	}
	return lines
}
