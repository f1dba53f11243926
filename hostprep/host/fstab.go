package host

import (
	"cmp"
	"fmt"
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
		m, wrong := MountLine{Point: Unescape(f[1]), FsType: f[2], Options: h.asMounted(f[3])}.hugetlbfs()
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

// asMounted are a hugetlbfs's options in fstab as the mounted one then shows them: mount(8) looks
// up the names of users and groups, and the kernel counts bytes. What neither can read stays.
func (h Host) asMounted(options string) MountOptions {
	var shown []string
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "uid":
			if u, err := h.User(value, ""); err == nil {
				option = fmt.Sprintf("uid=%d", u.UID)
			}
		case "gid":
			if g, err := h.Group(value); err == nil {
				option = fmt.Sprintf("gid=%d", g.Id)
			}
		case "size", "min_size", "nr_inodes":
			if strings.HasSuffix(value, "%") { // of the pool that there is when it is mounted
				continue
			}
			if n := pages.Memparse(value); n > 0 {
				option = fmt.Sprintf("%s=%d", key, n)
			}
		}
		shown = append(shown, option)
	}
	return MountOptions(strings.Join(shown, ","))
}

// FstabMounts says whether a line mounts a hugetlbfs on a point.
func FstabMounts(line, point string) bool {
	f := strings.Fields(line)
	return len(f) >= 4 && !strings.HasPrefix(f[0], "#") && Unescape(f[1]) == point && f[2] == "hugetlbfs"
}
