package boot

import (
	"cmp"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

const fstabFile = "/etc/fstab"

// InFstab says whether fstab mounts a hugetlbfs on a point.
func InFstab(h host.Host, point string) (bool, error) {
	text, err := h.ReadIfThere(fstabFile)
	for line := range strings.Lines(text) {
		if fstabMounts(line, point) {
			return true, err
		}
	}
	return false, err
}

// UnmountedInFstab returns the first hugetlbfs with pages of a size that fstab has for boot and
// that is not mounted; nil: there is none.
func UnmountedInFstab(h host.Host, size pages.Size) (*host.Mount, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	text, err := h.ReadIfThere(fstabFile)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 || !fstabMounts(line, host.Unescape(f[1])) || host.MountOptions(f[3]).Has("noauto") {
			continue
		}
		m, wrong := host.HugetlbfsWith(host.Unescape(f[1]), host.MountOptions(f[3]))
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

// fstabMounts says whether a line mounts a hugetlbfs on a point.
func fstabMounts(line, point string) bool {
	f := strings.Fields(line)
	return len(f) >= 4 && !strings.HasPrefix(f[0], "#") && host.Unescape(f[1]) == point && f[2] == "hugetlbfs"
}

// editFstab returns fstab with a hugetlbfs on a mount point. If there is a line for it
// already, that keeps its place and its other options; sized is the size that it must name, 0: none.
//
//	hugetlbfs /dev/hugepages hugetlbfs mode=1770,gid=kvm 0 0
func editFstab(text, point, options, group string, sized pages.Size) string {
	at := 0
	for line := range strings.Lines(text) {
		if fstabMounts(line, point) {
			f := strings.Fields(line)
			was := f[3]
			if group != "" {
				f[3] = ownedBy(f[3], group)
			}
			if sized != 0 && !hasSize(f[3]) {
				f[3] = WithSize(strings.TrimPrefix(f[3], "defaults"), sized)
			}
			if f[3] == was {
				return text
			}
			return text[:at] + strings.Join(f, " ") + "\n" + text[at+len(line):]
		}
		at += len(line)
	}
	escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`).Replace(point)
	return hostfs.AddLine(text, "hugetlbfs "+escaped+" hugetlbfs "+ownedBy(options, group)+" 0 0")
}
