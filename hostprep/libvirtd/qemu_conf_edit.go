package libvirtd

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/internal/hostfs"
)

// SetMounts returns the text of a qemu.conf with hugetlbfs_mount as wanted; nil:
// not set, the line is commented out. All else stays as it is, byte for byte.
func SetMounts(text string, mounts []string) (string, error) {
	settings, err := parseConf(text)
	if err != nil {
		return "", err
	}
	settings = slices.DeleteFunc(settings, func(s confSetting) bool { return s.name != "hugetlbfs_mount" })
	if mounts == nil {
		// Comment out all of them: otherwise libvirt would use the next one.
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
	return hostfs.AddLine(text, "hugetlbfs_mount = "+value), nil
}

// DefaultMount is the entry of hugetlbfs_mount that gives a domain without a
// page size its pages; see DefaultPageSize.
func DefaultMount(mounts []string) string {
	switch len(mounts) {
	case 0:
		return ""
	case 1:
		return mounts[0]
	}
	return mounts[1]
}

// KeepDefault moves one of the entries to the place of libvirt's default.
func KeepDefault(mounts []string, standard string) []string {
	i := slices.Index(mounts, standard)
	if i < 0 || len(mounts) < 2 || DefaultMount(mounts) == standard {
		return mounts
	}
	mounts = slices.Delete(slices.Clone(mounts), i, i+1)
	return slices.Insert(mounts, 1, standard)
}
