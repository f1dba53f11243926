package host

import (
	"cmp"
	"strings"

	"vmhuge/internal/pages"
)

const FstabFile = "/etc/fstab"

// InFstab says whether fstab mounts a hugetlbfs on a point.
func (h Host) InFstab(point string) (bool, error) {
	text, err := h.ReadIfThere(FstabFile)
	for line := range strings.Lines(text) {
		if FstabMounts(line, point) {
			return true, err
		}
	}
	return false, err
}

// UnmountedInFstab returns the first hugetlbfs with pages of a size that fstab has for boot and
// that is not mounted; nil: there is none.
func (h Host) UnmountedInFstab(size pages.Size) (*Mount, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	text, err := h.ReadIfThere(FstabFile)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 || !FstabMounts(line, Unescape(f[1])) || MountOptions(f[3]).Has("noauto") {
			continue
		}
		m, wrong := MountLine{Point: Unescape(f[1]), FsType: f[2], Options: MountOptions(f[3])}.hugetlbfs()
		if wrong != nil || cmp.Or(m.Size, mem.HugePageSize) != size {
			continue // check tells of a line that is wrong
		}
		if _, there, err := h.MountOf(m.Point); err != nil || !there {
			m.Size = size
			return &m, err
		}
	}
	return nil, err
}

// FstabMounts says whether a line mounts a hugetlbfs on a point.
func FstabMounts(line, point string) bool {
	f := strings.Fields(line)
	return len(f) >= 4 && !strings.HasPrefix(f[0], "#") && Unescape(f[1]) == point && f[2] == "hugetlbfs"
}
