package host

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// UnitLoadPath are the folders of the system's units, the strongest first: of two files of one
// name the first counts. Links in .wants and .requires count in all of them.
//
// Source: systemd.unit(5), unit file load path.
var UnitLoadPath = []string{
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

// EnabledUnits are the units that others want or require by links, and that are not masked.
func (h Host) EnabledUnits() (map[string]bool, error) {
	enabled := map[string]bool{}
	decided := map[string]bool{} // by the link's path below its folder: the first folder counts
	for _, folder := range UnitLoadPath {
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
				if !h.toNull(path.Join(folder, link)) {
					enabled[name] = true
				}
			}
		}
	}
	for name := range enabled {
		if file, err := h.UnitFile(name); err != nil {
			return nil, err
		} else if file != "" && h.isMask(file) {
			delete(enabled, name)
		}
	}
	return enabled, nil
}

// UnitFile is the file that systemd reads for a unit, for an instance as a rule its template;
// "": there is none.
func (h Host) UnitFile(name string) (string, error) {
	names := []string{name}
	if template, _, ok := strings.Cut(name, "@"); ok {
		names = append(names, template+"@"+path.Ext(name))
	}
	for _, name := range names {
		for _, folder := range UnitLoadPath {
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

// UnitDropIns are the files that add to a unit's own, in the order in which systemd reads them.
func (h Host) UnitDropIns(name string) ([]string, error) {
	var dirs []string
	for _, folder := range UnitLoadPath {
		dirs = append(dirs, path.Join(folder, name+".d"))
	}
	return h.DropIns(dirs)
}

// Masked says whether systemd starts a unit for nobody.
func (h Host) Masked(name string) (bool, error) {
	file, err := h.UnitFile(name)
	return file != "" && h.isMask(file), err
}

// isMask says that a unit's file keeps it from being started: a link to /dev/null, or empty.
func (h Host) isMask(file string) bool {
	if h.toNull(file) {
		return true
	}
	st, err := h.Lstat(file)
	return err == nil && st != nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0
}

func (h Host) toNull(file string) bool {
	to, err := os.Readlink(h.Root.Path(file))
	return err == nil && to == "/dev/null"
}
