package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
	"vmhuge/internal/sysctl"
)

// FileSlips finds the lines of fstab, of mount units and of sysctl's files that ask
// for huge pages in vain.
func FileSlips(h host.Host) ([]Slip, error) {
	var all []Slip
	for _, look := range []func(host.Host) ([]Slip, error){fstabSlips, mountUnitSlips, dropInSlips, sysctlSlips, unreadSettings} {
		slips, err := look(h)
		if err != nil {
			return all, err
		}
		all = append(all, slips...)
	}
	return all, nil
}

// fstabSlips are about the lines for a hugetlbfs: hugetlbfs /mnt hugetlbfs pagesize=1G 0 0
func fstabSlips(h host.Host) ([]Slip, error) {
	sizes := kernelSizes(h)
	mounts, err := h.Mounts()
	if err != nil {
		return nil, err
	}
	text, err := h.ReadIfThere(fstabFile)
	var slips []Slip
	for i, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		where := fmt.Sprintf("%s:%d", fstabFile, i+1)
		if meant := map[string]bool{"hugetlb": true, "hugepages": true, "hugepagefs": true, "hugepagesfs": true, "hugetblfs": true, "hugetlbf": true, "hugetlbsfs": true, "hugetlb_fs": true}; meant[strings.ToLower(f[2])] {
			slips = append(slips, Slip{Where: where, Word: f[2], Why: "is no file system, so that the mount fails", Right: "hugetlbfs"})
		}
		if f[2] == "hugetlbfs" && len(f) > 3 {
			slips = append(slips, optionSlips(where, f[3], sizes)...)
		}
		point := host.Unescape(f[1])
		if f[2] == "hugetlbfs" && !path.IsAbs(point) {
			slips = append(slips, Slip{Where: where, Word: f[1], Why: "is no path, so that nothing is mounted", Right: "the folder, such as /dev/hugepages, as the second field"})
		}
		if f[2] != "hugetlbfs" && slices.ContainsFunc(mounts, func(m host.Mount) bool { return m.Point == point }) {
			slips = append(slips, Slip{Where: where, Word: f[2] + " on " + f[1], Why: "covers the hugetlbfs that is mounted there", Right: "another folder for one of the two"})
		}
	}
	return slips, err
}

// mountUnitSlips are about the units of systemd in /etc that mount a hugetlbfs.
func mountUnitSlips(h host.Host) ([]Slip, error) {
	sizes := kernelSizes(h)
	names, err := h.NamesIn(unitDir)
	if err != nil {
		return nil, err
	}
	var slips []Slip
	for _, name := range names {
		if !strings.HasSuffix(name, ".mount") {
			continue
		}
		file := path.Join(unitDir, name)
		text, err := h.ReadIfThere(file)
		if err != nil {
			return slips, err
		}
		if !strings.Contains(text, "hugetlbfs") {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			where := fmt.Sprintf("%s:%d", file, i+1)
			switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
			case "Options":
				slips = append(slips, optionSlips(where, value, sizes)...)
			case "Type":
				if strings.Contains(strings.ToLower(value), "huge") && value != "hugetlbfs" {
					slips = append(slips, Slip{Where: where, Word: "Type=" + value, Why: "is no file system, so that the mount fails", Right: "Type=hugetlbfs"})
				}
			case "Where":
				if right := unitName(path.Clean(value)); right != name {
					slips = append(slips, Slip{Where: where, Word: "Where=" + value, Why: "does not fit the unit's name, so that systemd refuses the unit", Right: "the name " + right})
				}
			}
		}
	}
	return slips, nil
}

// dropInSlips are about the drop-ins in /etc of units that mount a hugetlbfs, wherever
// those are: /etc/systemd/system/dev-hugepages.mount.d/mode.conf.
func dropInSlips(h host.Host) ([]Slip, error) {
	entries, err := os.ReadDir(h.Root.Path(unitDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var slips []Slip
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".mount.d")
		if !ok {
			continue
		}
		unit := ""
		for _, dir := range host.UnitLoadPath {
			text, err := h.ReadIfThere(path.Join(dir, name+".mount"))
			if err != nil {
				return slips, err
			}
			unit += text
		}
		files, err := h.NamesIn(path.Join(unitDir, e.Name()))
		if err != nil {
			return slips, err
		}
		for _, file := range files {
			file = path.Join(unitDir, e.Name(), file)
			if !strings.HasSuffix(file, ".conf") || !strings.Contains(unit, "hugetlbfs") && !strings.HasPrefix(name, "dev-hugepages") {
				continue
			}
			err := eachLine(h, []string{file}, func(where, line string) {
				if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == "Options" {
					slips = append(slips, optionSlips(where, strings.TrimSpace(value), kernelSizes(h))...)
				}
			})
			if err != nil {
				return slips, err
			}
		}
	}
	return slips, err
}

// hugetlbfsOptions are those of the file system itself (hugetlb_fs_parameters of
// fs/hugetlbfs/inode.c).
var hugetlbfsOptions = []string{"gid", "min_size", "mode", "nr_inodes", "pagesize", "size", "uid"}

// meantMountOptions are what people write for one of these.
var meantMountOptions = map[string]string{
	"page_size": "pagesize", "pagesz": "pagesize", "hugepagesize": "pagesize", "hugepagesz": "pagesize", "hugepage_size": "pagesize", "page-size": "pagesize", "pagesizes": "pagesize", "huge": "pagesize",
	"minsize": "min_size", "min-size": "min_size", "nrinodes": "nr_inodes", "nr-inodes": "nr_inodes", "inodes": "nr_inodes", "group": "gid", "user_id": "uid", "modes": "mode", "perm": "mode",
}

// kernelSizes are the page sizes that the running kernel has.
func kernelSizes(h host.Host) []pages.Size {
	state, err := h.Pools()
	if err != nil {
		return nil // the check of the pools says why
	}
	return state.Sizes()
}

// optionSlips are about a list of mount options; the kernel refuses the mount for
// any that it does not know. sizes are those that it has; none: not known.
func optionSlips(where, options string, sizes []pages.Size) []Slip {
	var slips []Slip
	for _, option := range strings.Split(options, ",") {
		name, value, set := strings.Cut(strings.TrimSpace(option), "=")
		meant := strings.ToLower(name)
		if to := meantMountOptions[meant]; to != "" {
			meant = to
		}
		if !slices.Contains(hugetlbfsOptions, meant) {
			continue
		}
		slip := Slip{Where: where, Word: option}
		bad := func(why, right string) { slip.Why, slip.Right = why, right }
		size := memparse(value)
		switch {
		case name != meant && meant == "pagesize" && slices.Contains(pages.HugeSizes("", false), size):
			bad("is no option of hugetlbfs, so that the mount fails", "pagesize="+pages.SizeWord(size))
		case name != meant:
			bad("is no option of hugetlbfs, so that the mount fails", meant+"="+value)
		case !set:
			bad("has no value, so that the mount fails", name+"=VALUE")
		case name == "pagesize" && !slices.Contains(pages.HugeSizes("", false), size):
			bad("names a size that no kernel has, so that the mount fails: a number without K, M or G counts bytes", "pagesize="+sizeMeant(value, sizes))
		case name == "pagesize" && len(sizes) > 0 && !slices.Contains(sizes, size):
			bad("names a size that this kernel does not have, so that the mount fails", "pagesize="+pages.SizeWord(sizes[0]))
		case name == "mode":
			if _, err := strconv.ParseUint(value, 8, 12); err != nil {
				bad("is no mode in octal, so that the mount fails", "mode=1770")
			}
		case name == "nr_inodes" && size == 0:
			bad("is no number, so that the mount fails", "nr_inodes=N")
		}
		if slip.Why != "" {
			slips = append(slips, slip)
		}
	}
	return slips
}

// hugeSettings are the kernel's settings below /proc/sys that are about huge pages.
var hugeSettings = []string{"vm.nr_hugepages", "vm.nr_hugepages_mempolicy", "vm.nr_overcommit_hugepages", "vm.hugetlb_shm_group", "vm.hugetlb_optimize_vmemmap", "vm.movable_gigantic_pages"}

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
	if !known && lower != name && slices.Contains(hugeSettings, lower) {
		right, known = lower, true
	}
	_, err := sysctl.Number(value)
	switch {
	case known && right == "":
		slip.Why = "is no setting of the kernel, so that nothing happens"
		if strings.Contains(lower, "transparent") {
			slip.Right = "transparent_hugepage=" + value + " on the kernel's command line"
		}
		return slip, true
	case known:
		slip.Why = "is no setting of the kernel, so that nothing happens"
	case err != nil && slices.Contains(hugeSettings, name):
		right, slip.Why = name, "is no number, so that the kernel refuses it"
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
	lines, err := SysctlLines(h)
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
		case !slices.Contains(hugeSettings, line.Name):
			continue
		case len(strings.Fields(line.Value)) > 1:
			slip.Why, slip.Right = "is more than one number, of which the kernel takes the first", line.Name+" = "+strings.Fields(line.Value)[0]
		default:
			for _, later := range slices.Backward(lines[i+1:]) {
				if (later.sets(line.Name) || line.sets(later.Name)) && later.Value != line.Value {
					slip.Why = fmt.Sprintf("is overridden by %s, which is read later and says %s", later.Where, later.Value)
					slip.Right = "one of the two lines"
					break
				}
			}
		}
		if slip.Where, slip.Word = line.Where, line.Name+" = "+line.Value; slip.Why != "" {
			slips = append(slips, slip)
		}
	}
	return slips, nil
}
