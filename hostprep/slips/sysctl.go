package slips

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
	"vmhuge/internal/sysctl"
)

// meantSettings are what people write for one of these, and for what is no setting.
var meantSettings = map[string]string{
	"vm.nr_hugepage": "vm.nr_hugepages", "vm.hugepages": "vm.nr_hugepages", "vm.hugepage": "vm.nr_hugepages", "vm.nr_huge_pages": "vm.nr_hugepages", "vm.nrhugepages": "vm.nr_hugepages",
	"nr_hugepages": "vm.nr_hugepages", "vm.nr_hugpages": "vm.nr_hugepages", "kernel.nr_hugepages": "vm.nr_hugepages", "vm.hugepages_nr": "vm.nr_hugepages", "vm.hugetlb_pages": "vm.nr_hugepages", "vm.hugetlb_pool": "vm.nr_hugepages",
	"vm.overcommit_hugepages": "vm.nr_overcommit_hugepages", "vm.nr_overcommit_hugepage": "vm.nr_overcommit_hugepages", "vm.nr_hugepages_overcommit": "vm.nr_overcommit_hugepages",
	"vm.hugetlb_shm_gid": "vm.hugetlb_shm_group", "vm.hugetlb_group": "vm.hugetlb_shm_group",
	"vm.hugepages_treat_as_movable": "", "vm.transparent_hugepage": "", "vm.transparent_hugepages": "", "kernel.transparent_hugepage": "", "vm.hugepagesz": "", "vm.hugepagesize": "",
}

// pageSettings are those of them that count pages of the default size.
var pageSettings = []string{"vm.nr_hugepages", "vm.nr_hugepages_mempolicy", "vm.nr_overcommit_hugepages"}

// wrongSetting is about a setting that no kernel has, and about a value that is no number.
// size is the default size of huge pages; 0: not known.
func wrongSetting(name, value string, size pages.Size) (Slip, bool) {
	slip := Slip{Word: name + " = " + value}
	lower := strings.ToLower(name)
	right, known := meantSettings[lower]
	if !known && lower != name && slices.Contains(sysctl.HugePageSettings, lower) {
		right, known = lower, true
	}
	_, err := sysctl.Number(value)
	switch {
	case known && right == "":
		slip.Why = "is not a setting of the kernel, so that nothing happens"
		if strings.Contains(lower, "transparent") {
			slip.Right = "transparent_hugepage=" + value + " on the kernel's command line"
		}
		return slip, true
	case known:
		slip.Why = "is not a setting of the kernel, so that nothing happens"
	case err != nil && slices.Contains(sysctl.HugePageSettings, name):
		right, slip.Why = name, "is not a number, so that the kernel refuses it"
	default:
		return Slip{}, false
	}
	slip.Right = right + " = " + value
	if err == nil {
		return slip, true
	}
	slip.Right = right + " = N"
	if n, amount, ok := meantCount(value, size); ok && slices.Contains(pageSettings, right) {
		if slip.Right = fmt.Sprintf("%s = %d", right, n); amount > 0 {
			slip.Right += fmt.Sprintf(" for %s in pages of %s", amount, size)
		}
	}
	return slip, true
}

// sysctlSlips are about wrong settings, and those that a later file sets to something
// else.
func sysctlSlips(h host.Host) ([]Slip, error) {
	lines, err := boot.SysctlLines(h)
	if err != nil || lines == nil {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	var slips []Slip
	for i, line := range lines {
		slip, wrong := wrongSetting(line.Name, line.Value, mem.HugePageSize)
		switch {
		case wrong:
		case !slices.Contains(sysctl.HugePageSettings, line.Name):
			continue
		case len(strings.Fields(line.Value)) > 1:
			words := strings.Fields(line.Value)
			slip.Why, slip.Right = "is more than one number, of which the kernel takes the first", line.Name+" = "+words[0]
			if _, err := sysctl.Number(words[1]); err != nil { // a comment
				slip.Why, slip.Works = "has more than a number, and the kernel takes the number", true
			}
		default:
			for _, later := range slices.Backward(lines[i+1:]) {
				if (later.Sets(line.Name) || line.Sets(later.Name)) && later.Value != line.Value {
					slip.Why = fmt.Sprintf("is overridden by %s, which is read later and says %s", later.Where, later.Value)
					slip.Right = "one of the two lines"
					break
				}
			}
		}
		slip.In = Sysctl
		if line.Tuned {
			slip.In = Tuned
		}
		if slip.Where, slip.Word = line.Where, line.Name+" = "+line.Value; slip.Why != "" {
			slips = append(slips, slip)
		}
	}
	return slips, nil
}

// unreadSettings are about lines that sysctl passes over: those without =, and those in
// files of its folders whose names do not end in .conf. Copies that editors and package
// managers leave (.bak, .dpkg-old) are not meant to be read.
func unreadSettings(h host.Host) ([]Slip, error) {
	var slips []Slip
	files, withConf, err := boot.SysctlFiles(h)
	if err != nil {
		return nil, err
	}
	err = boot.EachLine(h, files, func(where, line string) {
		// systemd takes a - alone for a name that patterns leave out (sysctl.d(5)).
		if strings.Contains(line, "=") || sysctl.IsComment(line) || strings.HasPrefix(line, "-") {
			return
		}
		name, value := line, "N"
		if at := strings.IndexAny(line, " \t:"); at >= 0 {
			name, value = line[:at], strings.TrimLeft(line[at:], " \t:")
		}
		if name = strings.ReplaceAll(name, "/", "."); slices.Contains(sysctl.HugePageSettings, name) {
			slips = append(slips, Slip{Where: where, Word: line, Why: "has no =, so that sysctl ignores the line", Right: name + " = " + value, In: Sysctl})
		}
	})
	if err != nil {
		return slips, err
	}
	// unread are the settings in files that are not read at boot.
	unread := func(files []string, why string, right func(name string) string, moves bool) error {
		return boot.EachLine(h, files, func(where, line string) {
			if name, _, ok := sysctl.Parse(line); ok && slices.Contains(sysctl.HugePageSettings, name) {
				slips = append(slips, Slip{Where: where, Word: line, Why: why, Right: right(name), In: Sysctl, moves: moves})
			}
		})
	}
	lines, err := boot.SysctlLines(h)
	if err != nil {
		return slips, err
	}
	masked, err := boot.SysctlMasked(h)
	switch {
	case err != nil:
	case masked:
		err = unread(files, "is not read at boot, as systemd-sysctl.service is masked", func(string) string { return "systemctl unmask systemd-sysctl.service" }, false)
	case !withConf:
		err = unread([]string{boot.SysctlConf}, "is in a file that systemd does not read at boot; sysctl --system does", inLastFile(lines), true)
	}
	if err != nil {
		return slips, err
	}
	for _, dir := range sysctl.Dirs {
		names, err := h.NamesIn(dir)
		if err != nil {
			return slips, err
		}
		for _, name := range names {
			if ext := path.Ext(name); strings.HasSuffix(name, "~") || !slices.Contains([]string{"", ".cnf", ".config", ".cfg", ".txt", ".sysctl"}, ext) {
				continue
			}
			err := unread([]string{path.Join(dir, name)}, "is in a file whose name does not end in .conf, so that sysctl does not read it",
				func(string) string { return "the name " + strings.TrimSuffix(name, path.Ext(name)) + ".conf" }, true)
			if err != nil {
				return slips, err
			}
		}
	}
	return slips, nil
}

// inLastFile says where a line of a setting is to go that no file overrides: in one of its own, or
// in place of the line that is read after that.
func inLastFile(lines []boot.Setting) func(name string) string {
	const file = "/etc/sysctl.d/90-hugepages.conf"
	return func(name string) string {
		for _, line := range slices.Backward(lines) {
			at, _, _ := strings.Cut(line.Where, ":")
			if line.Sets(name) && path.Base(at) > path.Base(file) {
				return "the same line in place of " + line.Where + ", which is read last and says " + line.Value
			}
		}
		return "the same line in " + file
	}
}
