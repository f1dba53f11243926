package hostprep

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// sysctlFile is ours. It comes after /etc/sysctl.conf, which Debian reads as
// 99-sysctl.conf.
const sysctlFile = "/etc/sysctl.d/99-vmhuge.conf"

// sysctlDirs are where the settings of boot lie. Of two files of one name the
// first folder's counts (sysctl.d(5)).
var sysctlDirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// bootSysctl returns what a setting is at boot but for our own file, and the file
// that says so; "": none does.
func (h Host) bootSysctl(name string) (value, file string, err error) {
	order, err := h.dropIns(sysctlDirs)
	if err != nil {
		return "", "", err
	}
	if !slices.ContainsFunc(order, func(file string) bool { return path.Base(file) == "99-sysctl.conf" }) { // procps reads it last
		order = append(order, "/etc/sysctl.conf")
	}
	for _, at := range order {
		if at == sysctlFile {
			continue
		}
		text, err := h.readIfThere(at)
		if err != nil {
			return "", "", err
		}
		if v, ok := parseSysctl(text)[name]; ok {
			value, file = v, at
		}
	}
	return value, file, nil
}

// parseSysctl reads settings, of which the last counts:
//
//	# comment
//	vm.nr_hugepages = 512
//	-vm/nr_overcommit_hugepages=16
//
// A - says that a failure does not matter; / may stand for the dots.
func parseSysctl(text string) map[string]string {
	settings := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		name = strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(name), "-"), "/", ".")
		settings[name] = strings.TrimSpace(value)
	}
	return settings
}

// bootHugepages is the count that a setting of pages has at boot without us.
func (h Host) bootHugepages(name string) (int64, error) {
	value, _, err := h.bootSysctl(name)
	if err != nil || value == "" {
		return 0, err
	}
	return strconv.ParseInt(value, 10, 64)
}

// kept stands at the head of each file of ours.
const kept = "# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\n"

// sysctlText is our file; "": it has nothing to say.
func sysctlText(settings []string) string {
	if len(settings) == 0 {
		return ""
	}
	return kept + strings.Join(settings, "\n") + "\n"
}
