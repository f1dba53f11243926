package boot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/sysctl"
)

// Setting is a line of one of sysctl's files, or of tuned's active profile.
type Setting struct {
	Where string // the file and line: /etc/sysctl.d/90-hp.conf:3
	Name  string // with dots: vm.nr_hugepages
	Value string
	Later bool // it is made when vmhuge's own file has been read
	Tuned bool // it is of tuned's profile
}

// SysctlConf is read at boot by procps, which other systems than systemd's run then, and after
// all drop-ins. systemd itself reads it only where a drop-in is a link to it, as in Debian
// before 13, Ubuntu, Fedora, RHEL and SUSE.
const SysctlConf = "/etc/sysctl.conf"

// sysctlService has systemd read sysctl's files at boot.
const sysctlService = "systemd-sysctl.service"

// SysctlMasked says that systemd reads none of sysctl's files at boot.
func SysctlMasked(h host.Host) (bool, error) {
	if !h.BootedWithSystemd() {
		return false, nil
	}
	return h.Masked(sysctlService)
}

// SysctlFiles lists the files of sysctl that this host reads at boot, in that order. withConf says
// that SysctlConf is among them, by whatever name.
func SysctlFiles(h host.Host) (order []string, withConf bool, err error) {
	order, err = h.DropIns(sysctl.Dirs)
	if err != nil {
		return nil, false, err
	}
	if h.BootedWithSystemd() {
		return order, slices.ContainsFunc(order, func(file string) bool { return sysctl.IsConf(h.Root, file) }), nil
	}
	order = slices.DeleteFunc(order, func(file string) bool { return sysctl.IsConf(h.Root, file) })
	return append(order, SysctlConf), true, nil
}

// SysctlLines lists the settings about huge pages of all files but our own, and of tuned's
// active profile, in the order in which they are made at boot: of two for one name the last
// counts.
func SysctlLines(h host.Host) ([]Setting, error) {
	all, err := sysctlLines(h)
	return slices.DeleteFunc(all, func(s Setting) bool { return !namesHugePages(s.Name) }), err
}

// sysctlLines are SysctlLines and the settings of what the kernel commits, vm.overcommit_*.
func sysctlLines(h host.Host) ([]Setting, error) {
	order, withConf, err := SysctlFiles(h)
	if err != nil {
		return nil, err
	}
	if masked, err := SysctlMasked(h); err != nil {
		return nil, err
	} else if masked {
		order, withConf = nil, true
	}
	tuned, overrides, err := tuned(h)
	if err != nil {
		return nil, err
	}
	var settings []Setting
	read := func(files []string, last bool) error {
		for _, file := range files {
			later := last && (file == SysctlConf || path.Base(file) > path.Base(SysctlFile))
			err := EachLine(h, []string{file}, func(where, line string) {
				if name, value, ok := sysctl.Parse(line); ok && (namesHugePages(name) || namesCommit(name) || isPattern(name)) {
					settings = append(settings, Setting{Where: where, Name: name, Value: value, Later: later})
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	if len(tuned) == 0 || overrides {
		err = read(order, true)
	} else { // tuned makes the administrator's again, those in /usr not
		own := slices.DeleteFunc(slices.Clone(order), inUsr)
		if !withConf {
			own = append(own, SysctlConf)
		}
		packaged := slices.DeleteFunc(slices.Clone(order), func(file string) bool { return !inUsr(file) })
		if err = read(packaged, false); err == nil {
			settings = append(settings, tuned...)
			err = read(own, true)
		}
	}
	if err != nil {
		return nil, err
	}
	if overrides {
		for _, s := range tuned {
			s.Later = true
			settings = append(settings, s)
		}
	}
	left, err := leftOut(h, order)
	return matched(settings, left), err
}

// inUsr says whether a file comes with a package.
func inUsr(file string) bool {
	return strings.HasPrefix(file, "/usr/") || strings.HasPrefix(file, "/lib/")
}

// EachLine calls a function with each line of some files, our own aside.
func EachLine(h host.Host, files []string, line func(where, text string)) error {
	for _, file := range files {
		if file == SysctlFile {
			continue
		}
		text, err := h.ReadIfThere(file)
		if err != nil {
			return err
		}
		for i, text := range strings.Split(text, "\n") {
			line(fmt.Sprintf("%s:%d", file, i+1), strings.TrimSpace(text))
		}
	}
	return nil
}

func namesCommit(name string) bool { return strings.HasPrefix(name, "vm.overcommit_") }

func namesHugePages(name string) bool {
	return strings.Contains(strings.ToLower(name), "huge") || strings.Contains(name, "hugpage")
}
