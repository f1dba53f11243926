package hostprep

import (
	"cmp"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// bootLoader is the files from which a host's boot loader makes the command
// lines of the kernels that it starts.
type bootLoader struct {
	files []loaderFile
	lines func([]loaderFile) []bootLine
	// byHand is how the user changes the command line, where no file does.
	byHand func(options string) string
}

// loaderFile is a file of a boot loader's. One that is missing has no text.
type loaderFile struct {
	path, text string
	own        bool // made by us, and of nobody else
	edited     bool // ours is put on the command line in it
}

// bootLine is a kernel's command line, and the file that it comes from.
type bootLine struct{ file, line string }

// bootLoader looks for the boot loader that is in charge.
func (h Host) bootLoader() (bootLoader, error) {
	if b := h.bootedByHand(); b.byHand != nil {
		return b, nil
	}
	for _, find := range []func(Host) (bootLoader, error){Host.systemdBoot, Host.grubEntries, Host.grub} {
		if b, err := find(h); err != nil || len(b.files) > 0 {
			return b, err
		}
	}
	return bootLoader{byHand: func(options string) string {
		return "put " + options + " on the kernel's command line, wherever this machine gets it from, and reboot"
	}}, nil
}

// bootedByHand is a host whose boot loader's files are made by something else,
// which would overwrite them.
func (h Host) bootedByHand() bootLoader {
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
		if st, err := h.lstat(way.mark); err == nil && st != nil {
			return bootLoader{byHand: way.do}
		}
	}
	var st unix.Statfs_t
	if err := unix.Statfs(h.Root.Path("etc"), &st); err == nil && st.Flags&unix.ST_RDONLY != 0 {
		return bootLoader{byHand: func(options string) string {
			return "/etc is read-only: put " + options + " on the kernel's command line in what this system's image is made from, and reboot"
		}}
	}
	return bootLoader{}
}

const (
	kernelInstall = "/etc/kernel/cmdline" // that of kernels yet to be installed, kernel-install(8)
	grubDefaults  = "/etc/default/grub"
	grubFile      = "/etc/default/grub.d/vmhuge.cfg"
	grubEntryDir  = "/boot/loader/entries"
)

// systemdBoot is systemd-boot or another that starts what the entries of the
// Boot Loader Specification say, and has no other file.
//
// Source: uapi-group.org/specifications/specs/boot_loader_specification.
func (h Host) systemdBoot() (bootLoader, error) {
	// What started the kernel tells its name (systemd.io/BOOT_LOADER_INTERFACE).
	info, _ := h.readIfThere("/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
	if !strings.Contains(strings.ReplaceAll(info, "\x00", ""), "systemd-boot") {
		if defaults, err := h.readIfThere(grubDefaults); err != nil || defaults != "" {
			return bootLoader{}, err
		}
	}
	var files []loaderFile
	for _, dir := range []string{"/efi/loader/entries", "/boot/loader/entries", "/boot/efi/loader/entries"} {
		entries, err := h.readEntries(dir)
		if err != nil {
			return bootLoader{}, err
		}
		files = append(files, entries...)
	}
	return h.withKernelInstall(files, entryLines)
}

// grubEntries is the GRUB of Red Hat's, which makes its menu of such entries.
// grubby is not asked: it takes a second hugepagesz= for a new value of the
// first. What it would change is changed here: the entries, what they refer to
// in grubenv, and what new ones are made from.
func (h Host) grubEntries() (bootLoader, error) {
	defaults, files, err := h.entriesOfGrub()
	if err != nil || len(files) == 0 {
		return bootLoader{}, err
	}
	grubenv := "/boot/grub2/grubenv"
	if to, err := os.Readlink(h.Root.Path(grubenv)); err == nil && !path.IsAbs(to) {
		grubenv = path.Join(path.Dir(grubenv), to) // on the EFI system partition
	}
	env, err := h.readIfThere(grubenv)
	if err != nil {
		return bootLoader{}, err
	}
	if slices.ContainsFunc(files, func(f loaderFile) bool { return strings.Contains(f.text, "$kernelopts") }) {
		for i := range files {
			files[i].edited = false
		}
		files = append(files, loaderFile{path: grubenv, text: env, edited: true})
	} else if env != "" {
		files = append(files, loaderFile{path: grubenv, text: env})
	}
	files = append(files, loaderFile{path: grubDefaults, text: defaults, edited: true})
	return h.withKernelInstall(files, entryLines)
}

// grub is the GRUB whose menu is made by grub-mkconfig, a script of shell that
// reads /etc/default/grub and, where a distribution has added that, then the
// files in grub.d in the order of their names.
func (h Host) grub() (bootLoader, error) {
	defaults, err := h.readIfThere(grubDefaults)
	if err != nil || defaults == "" {
		return bootLoader{}, err
	}
	script := ""
	for _, file := range []string{"/usr/sbin/grub-mkconfig", "/usr/bin/grub-mkconfig", "/usr/sbin/grub2-mkconfig", "/usr/bin/grub2-mkconfig"} {
		text, err := h.readIfThere(file)
		if err != nil {
			return bootLoader{}, err
		}
		script = cmp.Or(script, text)
	}
	if script == "" {
		return bootLoader{}, nil
	}
	files := []loaderFile{{path: grubDefaults, text: defaults, edited: true}}
	if strings.Contains(script, "default/grub.d") {
		files[0].edited = false
		names, err := h.namesIn(path.Dir(grubFile))
		if err != nil {
			return bootLoader{}, err
		}
		names = append(names, path.Base(grubFile))
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if !strings.HasSuffix(name, ".cfg") || strings.HasPrefix(name, ".") {
				continue
			}
			file := path.Join(path.Dir(grubFile), name)
			text, err := h.readIfThere(file)
			if err != nil {
				return bootLoader{}, err
			}
			files = append(files, loaderFile{path: file, text: text, own: file == grubFile, edited: file == grubFile})
		}
	}
	return bootLoader{files: files, lines: func(files []loaderFile) []bootLine {
		return []bootLine{{grubDefaults, grubLine(files)}}
	}}, nil
}

// withKernelInstall adds what entries of new kernels are made from, if it is there.
func (h Host) withKernelInstall(files []loaderFile, lines func([]loaderFile) []bootLine) (bootLoader, error) {
	if len(files) == 0 {
		return bootLoader{}, nil
	}
	text, err := h.readIfThere(kernelInstall)
	if text != "" {
		files = append(files, loaderFile{path: kernelInstall, text: text, edited: true})
	}
	return bootLoader{files: files, lines: lines}, err
}

// entryLines returns the command line of each file: an entry's is all of its
// options, with the variables of grubenv.
func entryLines(files []loaderFile) []bootLine {
	env := map[string]string{}
	for _, f := range files {
		if path.Base(f.path) == "grubenv" {
			for line := range strings.Lines(f.text) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				env[name] = value
			}
		}
	}
	var lines []bootLine
	for _, f := range files {
		switch {
		case strings.HasSuffix(f.path, ".conf"):
			var options []string
			for _, m := range entryOptions.FindAllStringSubmatch(f.text, -1) {
				options = append(options, m[1])
			}
			lines = append(lines, bootLine{f.path, os.Expand(strings.Join(options, " "), func(name string) string { return env[name] })})
		case f.path == kernelInstall:
			if from, to, err := cmdlineIn(f.path, f.text); err == nil {
				lines = append(lines, bootLine{f.path, f.text[from:to]})
			}
		case f.path == grubDefaults:
			lines = append(lines, bootLine{f.path, grubLine([]loaderFile{f})})
		}
	}
	return lines
}
