package slips

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// fstabSlips are about the lines for a hugetlbfs: hugetlbfs /mnt hugetlbfs pagesize=1G 0 0
func fstabSlips(h host.Host) ([]Slip, error) {
	sizes := kernelSizes(h)
	mounts, err := h.Mounts()
	if err != nil {
		return nil, err
	}
	text, err := h.ReadIfThere("/etc/fstab")
	var slips []Slip
	for i, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		where := fmt.Sprintf("/etc/fstab:%d", i+1)
		if meant := map[string]bool{"hugetlb": true, "hugepages": true, "hugepagefs": true, "hugepagesfs": true, "hugetblfs": true, "hugetlbf": true, "hugetlbsfs": true, "hugetlb_fs": true}; meant[strings.ToLower(f[2])] {
			slips = append(slips, Slip{Where: where, Word: f[2], Why: "is not a file system, so that the mount fails", Right: "hugetlbfs", In: Fstab})
		}
		if f[2] == "hugetlbfs" && len(f) > 3 {
			slips = append(slips, optionSlips(Slip{Where: where, In: Fstab}, f[3], sizes)...)
		}
		point := host.Unescape(f[1])
		if f[2] == "hugetlbfs" && !path.IsAbs(point) {
			slips = append(slips, Slip{Where: where, Word: f[1], Why: "is not a path, so that nothing is mounted", Right: "the folder, such as /dev/hugepages, as the second field", In: Fstab})
		}
		if f[2] != "hugetlbfs" && slices.ContainsFunc(mounts, func(m host.Mount) bool { return m.Point == point }) {
			slips = append(slips, Slip{Where: where, Word: f[2] + " on " + f[1], Why: "covers the hugetlbfs that is mounted there", Right: "another folder for one of the two", In: Fstab})
		}
	}
	return slips, err
}

// mountUnitSlips are about the units of systemd in /etc that mount a hugetlbfs.
func mountUnitSlips(h host.Host) ([]Slip, error) {
	sizes := kernelSizes(h)
	names, err := h.NamesIn(boot.UnitDir)
	if err != nil {
		return nil, err
	}
	var slips []Slip
	for _, name := range names {
		if !strings.HasSuffix(name, ".mount") {
			continue
		}
		file := path.Join(boot.UnitDir, name)
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
				slips = append(slips, optionSlips(Slip{Where: where, In: MountUnit, Unit: name}, value, sizes)...)
			case "Type":
				if strings.Contains(strings.ToLower(value), "huge") && value != "hugetlbfs" {
					slips = append(slips, Slip{Where: where, Word: "Type=" + value, Why: "is not a file system, so that the mount fails", Right: "Type=hugetlbfs", In: MountUnit, Unit: name})
				}
			case "Where":
				if right := boot.UnitName(path.Clean(value)); right != name {
					slips = append(slips, Slip{Where: where, Word: "Where=" + value, Why: "does not fit the unit's name, so that systemd refuses the unit", Right: "the name " + right, In: MountUnit, Unit: right}) // systemd knows no other afterwards
				}
			}
		}
	}
	return slips, nil
}

// dropInSlips are about the drop-ins in /etc of units that mount a hugetlbfs, wherever
// those are: /etc/systemd/system/dev-hugepages.mount.d/mode.conf.
func dropInSlips(h host.Host) ([]Slip, error) {
	entries, err := os.ReadDir(h.Root.Path(boot.UnitDir))
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
		files, err := h.NamesIn(path.Join(boot.UnitDir, e.Name()))
		if err != nil {
			return slips, err
		}
		for _, file := range files {
			file = path.Join(boot.UnitDir, e.Name(), file)
			if !strings.HasSuffix(file, ".conf") || !strings.Contains(unit, "hugetlbfs") && !strings.HasPrefix(name, "dev-hugepages") {
				continue
			}
			err := boot.EachLine(h, []string{file}, func(where, line string) {
				if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == "Options" {
					slips = append(slips, optionSlips(Slip{Where: where, In: MountUnit, Unit: name + ".mount"}, strings.TrimSpace(value), kernelSizes(h))...)
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
// any that it does not know. sizes are those that it has; none: not known. at says where they are.
func optionSlips(at Slip, options string, sizes []pages.Size) []Slip {
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
		slip := at
		slip.Word = option
		bad := func(why, right string) { slip.Why, slip.Right = why, right }
		size := pages.Memparse(value)
		switch {
		case name != meant && meant == "pagesize" && slices.Contains(pages.HugeSizes("", false), size):
			bad("is not an option of hugetlbfs, so that the mount fails", "pagesize="+pages.SizeWord(size))
		case name != meant:
			bad("is not an option of hugetlbfs, so that the mount fails", meant+"="+value)
		case !set:
			bad("has no value, so that the mount fails", name+"=VALUE")
		case name == "pagesize" && !slices.Contains(pages.HugeSizes("", false), size):
			bad("names a size that no kernel has, so that the mount fails: a number without K, M or G counts bytes", "pagesize="+sizeMeant(value, sizes))
		case name == "pagesize" && len(sizes) > 0 && !slices.Contains(sizes, size):
			bad("names a size that this kernel does not have, so that the mount fails", "pagesize="+pages.SizeWord(sizes[0]))
		case name == "mode":
			if _, err := strconv.ParseUint(value, 8, 12); err != nil {
				bad("is not an octal mode, so that the mount fails", "mode=1770")
			}
		case name == "nr_inodes" && size == 0:
			bad("is not a number, so that the mount fails", "nr_inodes=N")
		}
		if slip.Why != "" {
			slips = append(slips, slip)
		}
	}
	return slips
}
