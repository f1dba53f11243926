package boot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
)

// Setting is a line of one of sysctl's files, or of tuned's active profile.
type Setting struct {
	Where string // the file and line: /etc/sysctl.d/90-hp.conf:3
	Name  string // with dots: vm.nr_hugepages
	Value string
	Later bool // it is made when vmhuge's own file has been read
}

// SysctlLines lists the settings about huge pages of all files but our own, and of tuned's
// active profile, in the order in which they are made at boot: of two for one name the last
// counts.
func SysctlLines(h host.Host) ([]Setting, error) {
	order, err := h.DropIns(sysctlDirs)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(order, func(file string) bool { return path.Base(file) == "99-sysctl.conf" }) { // procps reads it last
		order = append(order, "/etc/sysctl.conf")
	}
	tuned, overrides, err := tuned(h)
	if err != nil {
		return nil, err
	}
	var settings []Setting
	read := func(files []string, last bool) error {
		for _, file := range files {
			later := last && (file == "/etc/sysctl.conf" || path.Base(file) > path.Base(SysctlFile))
			err := eachLine(h, []string{file}, func(where, line string) {
				if name, value, ok := parseSetting(line); ok && (namesHugePages(name) || isPattern(name)) {
					settings = append(settings, Setting{where, name, value, later})
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

// eachLine calls a function with each line of some files, our own aside.
func eachLine(h host.Host, files []string, line func(where, text string)) error {
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

func namesHugePages(name string) bool {
	return strings.Contains(strings.ToLower(name), "huge") || strings.Contains(name, "hugpage")
}

// unreadSettings are about lines that sysctl passes over: those without =, and those in
// files of its folders whose names do not end in .conf. Copies that editors and package
// managers leave (.bak, .dpkg-old) are not meant to be read.
func unreadSettings(h host.Host) ([]Slip, error) {
	var slips []Slip
	files, err := h.DropIns(sysctlDirs)
	if err != nil {
		return nil, err
	}
	err = eachLine(h, append(files, "/etc/sysctl.conf"), func(where, line string) {
		// systemd takes a - alone for a name that patterns leave out (sysctl.d(5)).
		if strings.Contains(line, "=") || isComment(line) || strings.HasPrefix(line, "-") {
			return
		}
		name, value := line, "N"
		if at := strings.IndexAny(line, " \t:"); at >= 0 {
			name, value = line[:at], strings.TrimLeft(line[at:], " \t:")
		}
		if name = strings.ReplaceAll(name, "/", "."); slices.Contains(hugeSettings, name) {
			slips = append(slips, Slip{Where: where, Word: line, Why: "has no =, so that sysctl ignores the line", Right: name + " = " + value})
		}
	})
	if err != nil {
		return slips, err
	}
	for _, dir := range sysctlDirs {
		names, err := h.NamesIn(dir)
		if err != nil {
			return slips, err
		}
		for _, name := range names {
			if ext := path.Ext(name); strings.HasSuffix(name, "~") || !slices.Contains([]string{"", ".cnf", ".config", ".cfg", ".txt", ".sysctl"}, ext) {
				continue
			}
			err := eachLine(h, []string{path.Join(dir, name)}, func(where, line string) {
				if key, _, ok := parseSetting(line); ok && slices.Contains(hugeSettings, key) {
					slips = append(slips, Slip{Where: where, Word: line, Why: "stands in a file whose name does not end in .conf, so that sysctl does not read it",
						Right: "the name " + strings.TrimSuffix(name, path.Ext(name)) + ".conf"})
				}
			})
			if err != nil {
				return slips, err
			}
		}
	}
	return slips, nil
}
