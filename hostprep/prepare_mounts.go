package hostprep

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// mountsStep has a hugetlbfs of each page size in use, now and after a reboot, and
// has its root belong to the group that was asked for. System guests need no
// group: libvirt makes a folder for each.
var mountsStep = Step{"mounts", func(h Host, p Preparation) ([]Finding, error) {
	sizes, err := h.mountSizes(p)
	if err != nil || len(sizes) == 0 {
		return nil, err
	}
	gid := -1
	if p.MountGroup != "" {
		_, groups, err := h.accounts()
		if err != nil {
			return nil, err
		}
		group, ok := find(groups, p.MountGroup)
		if !ok {
			return []Finding{{Severity: Blocker, Verdict: BadHost, Have: "there is no group " + p.MountGroup,
				Need: "a group for --mount-group", Do: "groupadd --system " + p.MountGroup + ", or name another"}}, nil
		}
		gid = group.id
	}
	conf, err := h.QEMUConf("")
	if err != nil {
		return nil, err
	}
	used, hidden, err := h.driverMounts(conf)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, size := range sizes {
		if slices.ContainsFunc(hidden, func(m Mount) bool { return m.Size == size }) {
			continue // the mount check tells
		}
		f := Finding{Severity: Blocker, Verdict: NoMount, Fixable: true}
		at := slices.IndexFunc(used, func(m Mount) bool { return m.Size == size })
		m := Mount{Size: size, Mode: 0o755}
		if at >= 0 {
			m = used[at]
			f.Have = m.Point + " is mounted"
		} else if m.Point, err = h.newPoint(size); err != nil {
			return findings, err
		} else {
			f.Have = fmt.Sprintf("no hugetlbfs with pages of %s is mounted", size)
			if gid >= 0 {
				m.GID, m.Mode = gid, 0o1770
			}
		}
		if at >= 0 {
			f.Changes, err = h.ownRoot(m, gid, p.Persist)
		} else {
			f.Changes, err = h.mountNow(m, p.Persist)
		}
		if err != nil {
			return findings, err
		}
		f.Need = m.Point
		if p.Persist {
			more, err := h.mountAtBoot(m, size, p.MountGroup)
			if err != nil {
				return findings, err
			}
			f.Changes = append(f.Changes, more...)
			f.Need += ", at each boot"
		}
		if gid >= 0 {
			f.Need += ", for the group " + p.MountGroup
		}
		if len(f.Changes) > 0 {
			findings = append(findings, f)
		}
	}
	return findings, nil
}}

// mountSizes returns the page sizes of which QEMU maps files.
func (h Host) mountSizes(p Preparation) ([]pages.Size, error) {
	var sizes []pages.Size
	for _, g := range p.guests() {
		sizes = append(sizes, fileSizes(g)...)
	}
	for _, need := range p.Pages {
		sizes = append(sizes, need.Size)
	}
	if p.MountGroup != "" || p.User != "" {
		mem, err := h.Meminfo()
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, mem.HugePageSize)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes), nil
}

// newPoint is where a hugetlbfs goes that is not there.
func (h Host) newPoint(size pages.Size) (string, error) {
	mem, err := h.Meminfo()
	if err != nil {
		return "", err
	}
	point := "/dev/hugepages"
	if _, taken, err := h.mountOf(point); err != nil || taken || size != mem.HugePageSize {
		return point + sizeWord(size), err // as in the sample of qemu.conf
	}
	return point, nil
}

// mountNow mounts what is not mounted.
func (h Host) mountNow(m Mount, persist bool) ([]Change, error) {
	var changes []Change
	st, err := h.lstat(m.Point)
	if err != nil {
		return nil, err
	}
	if st == nil {
		changes = append(changes, Change{Kind: KindMkdir, Path: m.Point, To: "0755 0:0", EachBoot: persist})
	}
	return append(changes, Change{Kind: KindMount, Path: m.Point, To: m.options(), EachBoot: persist}), nil
}

// ownRoot gives a mount's root to a group, -1: to no other, and mends the well
// known slip of a mode=1770 that was taken for a decimal number and became 1352.
// libvirt lets all search the root, which is well.
func (h Host) ownRoot(m Mount, gid int, persist bool) ([]Change, error) {
	const slip = 0o1352
	st, err := h.lstat(m.Point)
	if err != nil || st == nil {
		return nil, err
	}
	var changes []Change
	if gid >= 0 && int(st.Gid) != gid {
		changes = append(changes, Change{Kind: KindChown, Path: m.Point, EachBoot: persist,
			From: fmt.Sprintf("%d:%d", st.Uid, st.Gid), To: fmt.Sprintf("%d:%d", st.Uid, gid)})
	}
	if mode := st.Mode & 0o7777 &^ searchable; gid >= 0 && mode != 0o1770&^searchable || mode == slip&^searchable {
		changes = append(changes, Change{Kind: KindChmod, Path: m.Point, From: modeText(st.Mode), To: "1770", EachBoot: persist})
	}
	return changes, nil
}

// mountAtBoot writes down a mount for the next boot: for systemd as a unit, or as
// a drop-in of the unit that is there, else in fstab.
func (h Host) mountAtBoot(m Mount, size pages.Size, group string) ([]Change, error) {
	options := "nosuid,nodev,pagesize=" + sizeWord(size)
	if !h.bootedWithSystemd() {
		text, err := h.readIfThere(fstabFile)
		if err != nil {
			return nil, err
		}
		return h.filePlan(fstabFile, editFstab(text, m.Point, options, group))
	}
	ours := path.Join(unitDir, unitName(m.Point))
	texts, err := h.mountUnit(m.Point)
	if err != nil {
		return nil, err
	}
	now, err := h.readIfThere(ours)
	switch {
	case err != nil:
		return nil, err
	case texts == nil || now == texts[0] && strings.HasPrefix(now, kept):
		if group == "" && now != "" {
			return nil, nil // with whatever group it has
		}
		file, err := h.filePlan(ours, mountUnitText(m.Point, size.String(), ownedBy(options, group)))
		if err != nil {
			return nil, err
		}
		link, err := h.linkPlan(path.Join(unitDir, "sysinit.target.wants", unitName(m.Point)), "../"+unitName(m.Point))
		return append(file, link...), err
	case group == "":
		return nil, nil
	}
	return h.filePlan(dropIn(m.Point), kept+"[Mount]\nOptions="+ownedBy(unitOptions(texts), group)+"\n")
}

// MountGroup is the group of the user that QEMU runs as, which is kvm's on most
// distributions.
func (h Host) MountGroup() (string, error) {
	conf, err := h.QEMUConf("")
	if err != nil {
		return "", err
	}
	user, err := h.QEMUUser(conf)
	if err != nil {
		return "", err
	}
	_, groups, err := h.accounts()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(groups, func(a account) bool { return a.id == user.GID })
	if i < 0 {
		return "", advice.New("finding the group of "+user.Name, fmt.Sprintf("/etc/group has none with the number %d", user.GID), "name one: --mount-group GROUP")
	}
	return groups[i].name, nil
}
