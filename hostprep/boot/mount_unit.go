package boot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// UnitDir is the folder of vmhuge's units.
const UnitDir = "/etc/systemd/system"

// UnitName is the name of the unit that mounts a point, as systemd-escape
// --path --suffix=mount writes it: dev-hugepages1G.mount.
func UnitName(point string) string {
	var b strings.Builder
	for i, c := range []byte(strings.Trim(path.Clean(point), "/")) {
		switch {
		case c == '/':
			b.WriteByte('-')
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == ':', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String() + ".mount"
}

// mountUnit returns the texts of the unit of a mount point, and of its drop-ins except
// vmhuge's, in systemd's order; none: there is no unit.
func mountUnit(h host.Host, point string) (texts []string, err error) {
	name := UnitName(point)
	for _, dir := range host.UnitLoadPath {
		text, err := h.ReadIfThere(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if text != "" {
			texts = append(texts, text)
			break
		}
	}
	if texts == nil {
		return nil, nil
	}
	files, err := h.UnitDropIns(name)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if file == dropIn(point) {
			continue
		}
		text, err := h.ReadIfThere(file)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// dropIn is our file beside the unit of a mount that is not ours.
func dropIn(point string) string { return path.Join(UnitDir, UnitName(point)+".d", "vmhuge.conf") }

// unitOptions returns the last Options= of a unit and its drop-ins, which overrides those
// before it.
func unitOptions(texts []string) (options string) {
	for _, text := range texts {
		for line := range strings.Lines(text) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), "Options="); ok {
				options = value
			}
		}
	}
	return options
}

// ownedBy returns mount options with the group that may create files; all others stay.
// The mode starts with a 0, without which some kernels read a decimal number.
func ownedBy(options, group string) string {
	var list []string
	for _, option := range strings.Split(options, ",") {
		key, _, _ := strings.Cut(option, "=")
		if option != "" && !slices.Contains([]string{"mode", "gid", "defaults"}, key) {
			list = append(list, option)
		}
	}
	if group != "" {
		list = append(list, "mode=01770", "gid="+group)
	}
	return strings.Join(list, ",")
}

// mountUnitText is a mount unit. Like systemd's own units for hugetlbfs it starts before
// anything that might use the mount.
func mountUnitText(point, size, options string) string {
	return fmt.Sprintf(Kept+`[Unit]
Description=Huge Pages File System (%s)
Documentation=https://docs.kernel.org/admin-guide/mm/hugetlbpage.html
DefaultDependencies=no
Before=sysinit.target libvirtd.service virtqemud.service
ConditionPathExists=/sys/kernel/mm/hugepages
ConditionCapability=CAP_SYS_ADMIN
ConditionVirtualization=!private-users

[Mount]
What=hugetlbfs
Where=%s
Type=hugetlbfs
Options=%s

[Install]
WantedBy=sysinit.target
`, size, point, options)
}

// MountPlan returns the changes that make a mount again at each boot: a unit of systemd or
// a drop-in of the existing one; without systemd, a line of fstab. standard is the default size
// by then: what mounts another size must name it. Where vmhuge can't make them it is a ByHandError.
func MountPlan(h host.Host, m host.Mount, size, standard pages.Size, group string) ([]change.Change, error) {
	var sized pages.Size
	if size != standard {
		sized = size
	}
	options := "nosuid,nodev,pagesize=" + pages.SizeWord(size)
	texts, err := mountUnit(h, m.Point)
	if err != nil {
		return nil, err
	}
	inFstab, err := h.InFstab(m.Point)
	if err != nil {
		return nil, err
	}
	nixOS, err := h.NixOS()
	if err != nil {
		return nil, err
	}
	if nixOS { // which writes its fileSystems into fstab
		return nil, mountOnNixOS(h, m, inFstab || texts != nil, options, group, sized)
	}
	// Of a new line of fstab, systemd makes a unit when it reloads.
	if !h.BootedWithSystemd() || inFstab && texts == nil {
		text, err := h.ReadIfThere(host.FstabFile)
		if err != nil {
			return nil, err
		}
		return change.FilePlan(h, host.FstabFile, editFstab(text, m.Point, options, group, sized))
	}
	ours := path.Join(UnitDir, UnitName(m.Point))
	now, err := h.ReadIfThere(ours)
	switch {
	case err != nil:
		return nil, err
	case texts == nil || now == texts[0] && strings.HasPrefix(now, Kept):
		text := mountUnitText(m.Point, size.String(), ownedBy(options, group))
		if group == "" && now != "" {
			text = now // the group that the unit has stays
		}
		file, err := change.FilePlan(h, ours, text)
		if err != nil {
			return nil, err
		}
		link, err := change.LinkPlan(h, path.Join(UnitDir, "sysinit.target.wants", UnitName(m.Point)), "../"+UnitName(m.Point))
		return append(file, link...), err
	case group == "" && sized == 0:
		return nil, nil
	case group == "":
		by, has, err := MountWithoutSize(h, m.Point)
		if by == "" || err != nil {
			return nil, err
		}
		options = has
	default:
		options = ownedBy(unitOptions(texts), group)
	}
	if sized != 0 {
		options = WithSize(options, sized)
	}
	return change.FilePlan(h, dropIn(m.Point), Kept+"[Mount]\nOptions="+options+"\n")
}
