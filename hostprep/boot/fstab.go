package boot

import (
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// editFstab returns fstab with a hugetlbfs on a mount point. If there is a line for it
// already, that keeps its place and its other options; sized is the size that it must name, 0: none.
//
//	hugetlbfs /dev/hugepages hugetlbfs mode=1770,gid=kvm 0 0
func editFstab(text, point, options, group string, sized pages.Size) string {
	at := 0
	for line := range strings.Lines(text) {
		if host.FstabMounts(line, point) {
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
