package hostprep

import (
	"slices"
	"strings"
)

const fstabFile = "/etc/fstab"

// fstabLine finds the line of a mount point.
//
//	hugetlbfs /dev/hugepages hugetlbfs mode=1770,gid=kvm 0 0
func fstabLine(text, point string) (fields []string, line string, ok bool) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 4 && !strings.HasPrefix(f[0], "#") && unescape(f[1]) == point && f[2] == "hugetlbfs" {
			return f, line, true
		}
	}
	return nil, "", false
}

// editFstab returns fstab with a hugetlbfs on a point. What stands there of it
// keeps its other options and its place.
func editFstab(text, point, options, group string) string {
	f, line, ok := fstabLine(text, point)
	if !ok {
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`).Replace(point)
		return text + "hugetlbfs " + escaped + " hugetlbfs " + ownedBy(options, group) + " 0 0\n"
	}
	if group == "" {
		return text
	}
	f = slices.Clone(f)
	f[3] = ownedBy(f[3], group)
	return strings.Replace(text, line, strings.Join(f, " ")+"\n", 1)
}
