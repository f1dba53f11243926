package boot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// unitLoadPath are the folders of the system's units, the strongest first: of two files of one
// name the first counts. Links in .wants and .requires count in all of them.
//
// Source: systemd.unit(5), unit file load path.
var unitLoadPath = []string{
	"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early",
	"/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached", "/run/systemd/generator",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/generator.late",
}

// notAtBoot are units whose wants no boot starts.
var notAtBoot = []string{
	"rescue.target", "emergency.target", "shutdown.target", "umount.target", "final.target", "reboot.target", "poweroff.target",
	"halt.target", "kexec.target", "soft-reboot.target", "exit.target", "sleep.target", "suspend.target", "hibernate.target",
	"hybrid-sleep.target", "suspend-then-hibernate.target",
}

// enabledUnits are the units that others want or require by links, and that are not masked.
func enabledUnits(h host.Host) (map[string]bool, error) {
	enabled := map[string]bool{}
	decided := map[string]bool{} // by the link's path below its folder: the first folder counts
	for _, folder := range unitLoadPath {
		entries, err := os.ReadDir(h.Root.Path(folder))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, dir := range entries {
			ext := path.Ext(dir.Name())
			if ext != ".wants" && ext != ".requires" || slices.Contains(notAtBoot, strings.TrimSuffix(dir.Name(), ext)) {
				continue
			}
			names, err := h.NamesIn(path.Join(folder, dir.Name()))
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				link := path.Join(dir.Name(), name)
				if decided[link] {
					continue
				}
				decided[link] = true
				if !toNull(h, path.Join(folder, link)) {
					enabled[name] = true
				}
			}
		}
	}
	for name := range enabled {
		if file, err := unitFile(h, name); err != nil {
			return nil, err
		} else if file != "" && isMask(h, file) {
			delete(enabled, name)
		}
	}
	return enabled, nil
}

// unitFile is the file that systemd reads for a unit, for an instance as a rule its template;
// "": there is none.
func unitFile(h host.Host, name string) (string, error) {
	names := []string{name}
	if template, _, ok := strings.Cut(name, "@"); ok {
		names = append(names, template+"@"+path.Ext(name))
	}
	for _, name := range names {
		for _, folder := range unitLoadPath {
			file := path.Join(folder, name)
			st, err := h.Lstat(file)
			if err != nil {
				return "", err
			}
			if st != nil {
				return file, nil
			}
		}
	}
	return "", nil
}

// isMask says that a unit's file keeps it from being started: a link to /dev/null, or empty.
func isMask(h host.Host, file string) bool {
	if toNull(h, file) {
		return true
	}
	st, err := h.Lstat(file)
	return err == nil && st != nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0
}

func toNull(h host.Host, file string) bool {
	to, err := os.Readlink(h.Root.Path(file))
	return err == nil && to == "/dev/null"
}

// serviceFiles are the files of services that a boot starts, each with its drop-ins.
func serviceFiles(h host.Host) ([]string, error) {
	enabled, err := enabledUnits(h)
	if err != nil {
		return nil, err
	}
	var files []string
	for name := range enabled {
		if path.Ext(name) != ".service" || strings.HasPrefix(name, "vmhuge") {
			continue
		}
		file, err := unitFile(h, name)
		if err != nil {
			return nil, err
		}
		if file != "" && !slices.Contains(files, file) {
			files = append(files, file)
		}
		var dirs []string
		for _, folder := range unitLoadPath {
			dirs = append(dirs, path.Join(folder, name+".d"))
		}
		dropIns, err := h.DropIns(dirs)
		if err != nil {
			return nil, err
		}
		files = append(files, dropIns...)
	}
	return files, nil
}
