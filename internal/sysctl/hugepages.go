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

// HugePages is the number that sysctl's files set vm.nr_hugepages to, and the file that
// has it, which is the last of them to be read; "" if none sets it.
func HugePages(root hostfs.Root) (n int64, file string) {
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
	if _, ok := files["99-sysctl.conf"]; !ok { // procps reads it last
		paths = append(paths, "/etc/sysctl.conf")
	}
	for _, at := range paths {
		text, _ := root.Read(at)
		for line := range strings.Lines(text) {
			name, value, _ := Parse(line)
			if name != "vm.nr_hugepages" && name != "vm.nr_hugepages_mempolicy" { // one pool
				continue
			}
			if count, err := Number(value); err == nil {
				n, file = count, at
			}
		}
	}
	return n, file
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
