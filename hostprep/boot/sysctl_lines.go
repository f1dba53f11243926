package boot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
)

// Setting is a line of one of sysctl's files.
type Setting struct {
	Where string // the file and line: /etc/sysctl.d/90-hp.conf:3
	Name  string // with dots: vm.nr_hugepages
	Value string
}

// SysctlLines lists the settings about huge pages of all files but our own, in the
// order in which they are made at boot: of two for one name the last counts.
func SysctlLines(h host.Host) ([]Setting, error) {
	order, err := h.DropIns(sysctlDirs)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(order, func(file string) bool { return path.Base(file) == "99-sysctl.conf" }) {
		order = append(order, "/etc/sysctl.conf")
	}
	var lines []Setting
	for _, file := range order {
		if file == SysctlFile {
			continue
		}
		text, err := h.ReadIfThere(file)
		if err != nil {
			return lines, err
		}
		for i, line := range strings.Split(text, "\n") {
			for name, value := range parseSysctl(line) {
				if strings.Contains(strings.ToLower(name), "huge") || strings.Contains(name, "hugpage") {
					lines = append(lines, Setting{fmt.Sprintf("%s:%d", file, i+1), name, value})
				}
			}
		}
	}
	return lines, nil
}
