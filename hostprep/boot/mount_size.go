package boot

import (
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// MountWithoutSize returns what mounts a hugetlbfs on a point at boot without pagesize=, so that it
// gets the kernel's default size, and with which options: /etc/fstab or a unit; "": nothing does.
func MountWithoutSize(h host.Host, point string) (by, options string, err error) {
	text, err := h.ReadIfThere(host.FstabFile)
	for line := range strings.Lines(text) {
		if host.FstabMounts(line, point) {
			by, options = host.FstabFile, strings.Fields(line)[3]
		}
	}
	if err == nil && h.BootedWithSystemd() {
		var texts []string
		if texts, err = mountUnit(h, point); err == nil && texts != nil {
			var ours string
			ours, err = h.ReadIfThere(dropIn(point))
			if options = unitOptions(append(texts, ours)); by == "" {
				by = UnitName(point)
			}
		}
	}
	if hasSize(options) {
		by = ""
	}
	return by, options, err
}

func hasSize(options string) bool { return strings.Contains(","+options, ",pagesize=") }

// WithSize returns mount options with a page size, unless they have one.
func WithSize(options string, size pages.Size) string {
	if hasSize(options) {
		return options
	}
	return strings.TrimPrefix(options+",pagesize="+pages.SizeWord(size), ",")
}
