// Package sysctl reads what sysctl's files set; files in, numbers out.
package sysctl

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// Dirs are where sysctl --system and systemd-sysctl read settings: in the order
// of the files' names, and of two of one name the first folder's (sysctl.d(5)).
var Dirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// conf is a file that procps reads last, and systemd only where a drop-in is a link to it.
const conf = "/etc/sysctl.conf"

// IsConf says whether a drop-in is a link to /etc/sysctl.conf.
func IsConf(root hostfs.Root, file string) bool {
	to, err := os.Readlink(root.Path(file))
	if err == nil && !path.IsAbs(to) {
		to = path.Join(path.Dir(file), to)
	}
	return err == nil && path.Clean(to) == conf
}

// Count is a number that sysctl's files set vm.nr_hugepages to, and the file that has it.
type Count struct {
	Pages int64
	File  string
}

// HugePages are the numbers that sysctl's files may have set vm.nr_hugepages to: by systemd, at boot
// or when its service is restarted, and by sysctl --system. Neither is there if no file sets it.
func HugePages(root hostfs.Root) (counts []Count) {
	files := map[string]string{} // by name
	for _, dir := range slices.Backward(Dirs) {
		entries, _ := os.ReadDir(root.Path(dir))
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".conf") {
				files[e.Name()] = path.Join(dir, e.Name())
			}
		}
	}
	var order []string
	for name := range files {
		order = append(order, name)
	}
	slices.Sort(order)
	paths := make([]string, 0, len(order)+1)
	for _, name := range order {
		paths = append(paths, files[name])
	}
	readings := [][]string{append(slices.Clone(paths), conf)}
	if _, err := os.Stat(root.Path("run", "systemd", "system")); err == nil {
		readings = append(readings, paths)
	}
	for _, order := range readings {
		if c := lastCount(root, order); c.File != "" && !slices.Contains(counts, c) {
			counts = append(counts, c)
		}
	}
	return counts
}

// lastCount is the number that the last of some files sets vm.nr_hugepages to.
func lastCount(root hostfs.Root, files []string) (c Count) {
	for _, at := range files {
		text, _ := root.Read(at)
		for line := range strings.Lines(text) {
			name, value, _ := Parse(line)
			if name != "vm.nr_hugepages" && name != "vm.nr_hugepages_mempolicy" { // one pool
				continue
			}
			if n, err := Number(value); err == nil {
				c = Count{n, at}
			}
		}
	}
	return c
}

// DefaultSize is the page size that vm.nr_hugepages is about, from /proc/meminfo:
//
//	Hugepagesize:       2048 kB
func DefaultSize(root hostfs.Root) (pages.Size, error) {
	text, err := root.Read("proc", "meminfo")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "Hugepagesize:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 52)
			return pages.SizeOfKiB(kib), err
		}
	}
	return 0, err
}
