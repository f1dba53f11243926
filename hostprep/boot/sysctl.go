package boot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/sysctl"
)

// SysctlFile is vmhuge's file. It is read after /etc/sysctl.conf, which Debian reads as
// 99-sysctl.conf.
const SysctlFile = "/etc/sysctl.d/99-vmhuge.conf"

// sysctlDirs are the folders with settings for boot. Of two files of one name the one in
// the first folder counts (sysctl.d(5)).
var sysctlDirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// readSysctl returns the value that a setting gets at boot, vmhuge's own file aside, and
// the file that sets it; "": none does.
func readSysctl(h host.Host, name string) (value, file string, err error) {
	order, err := h.DropIns(sysctlDirs)
	if err != nil {
		return "", "", err
	}
	if !slices.ContainsFunc(order, func(file string) bool { return path.Base(file) == "99-sysctl.conf" }) { // procps reads it last
		order = append(order, "/etc/sysctl.conf")
	}
	for _, at := range order {
		if at == SysctlFile {
			continue
		}
		text, err := h.ReadIfThere(at)
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
// With a - sysctl ignores a failure; / may be written for the dots.
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

// hugepages is the number of pages that a setting gets at boot, vmhuge's own file aside.
func hugepages(h host.Host, name string) (int64, error) {
	value, _, err := readSysctl(h, name)
	if err != nil || value == "" {
		return 0, err
	}
	return sysctl.Number(value)
}

// Kept is the first line of each file that vmhuge writes for boot. It stays the same in
// all versions: by it vmhuge knows its units.
const Kept = "# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\n"

// sysctlText is the text of our file; "": there is nothing to set.
func sysctlText(settings []string) string {
	if len(settings) == 0 {
		return ""
	}
	return Kept + strings.Join(settings, "\n") + "\n"
}

// sysctlPages is the setting that reserves so many pages of the default size, or
// lets the kernel make as many. What another file asks for is on top of it.
func sysctlPages(h host.Host, n int64, overcommit bool) (string, error) {
	name := "vm.nr_hugepages"
	if overcommit {
		name = "vm.nr_overcommit_hugepages"
	}
	others, err := hugepages(h, name)
	return fmt.Sprintf("%s = %d", name, others+n), err
}
