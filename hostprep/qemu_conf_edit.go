package hostprep

import (
	"fmt"
	"slices"
	"strings"
)

// setMounts returns the text of a qemu.conf with hugetlbfs_mount as wanted; nil:
// not set, the line is commented out. All else stays as it is, byte for byte.
func setMounts(text string, mounts []string) (string, error) {
	settings, err := parseConf(text)
	if err != nil {
		return "", err
	}
	settings = slices.DeleteFunc(settings, func(s confSetting) bool { return s.name != "hugetlbfs_mount" })
	if mounts == nil {
		// All of them: libvirt takes the first, and then it would be the next.
		for _, s := range slices.Backward(settings) {
			text = text[:s.start] + "#" + strings.ReplaceAll(text[s.start:s.end], "\n", "\n#") + text[s.end:]
		}
		return text, nil
	}
	quoted := make([]string, len(mounts))
	for i, mount := range mounts {
		if strings.ContainsAny(mount, "\"\n") {
			return "", fmt.Errorf("%q can't be written in libvirt's configuration", mount)
		}
		quoted[i] = `"` + mount + `"`
	}
	value := "[" + strings.Join(quoted, ", ") + "]"
	if len(settings) > 0 {
		s := settings[0]
		return text[:s.value] + value + text[s.end:], nil
	}
	return addLine(text, "hugetlbfs_mount = "+value), nil
}

// defaultMount is the entry of hugetlbfs_mount that gives a domain without a
// page size its pages; see DefaultPageSize.
func defaultMount(mounts []string) string {
	switch len(mounts) {
	case 0:
		return ""
	case 1:
		return mounts[0]
	}
	return mounts[1]
}

// keepDefault puts one entry where libvirt takes it for the default, if it is
// among them.
func keepDefault(mounts []string, standard string) []string {
	i := slices.Index(mounts, standard)
	if i < 0 || len(mounts) < 2 || defaultMount(mounts) == standard {
		return mounts
	}
	mounts = slices.Delete(slices.Clone(mounts), i, i+1)
	return slices.Insert(mounts, 1, standard)
}
