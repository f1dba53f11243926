package prepare

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
)

// mountsStep mounts a hugetlbfs of each page size in use, now and after a reboot, and
// gives its root to the group that was asked for. System guests need no group: libvirt
// makes a folder for each.
var mountsStep = Step{"mounts", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	sizes, err := mountSizes(h, p)
	if err != nil || len(sizes) == 0 {
		return nil, err
	}
	gid := -1
	if p.MountGroup != "" {
		_, groups, err := h.Accounts()
		if err != nil {
			return nil, err
		}
		group, ok := host.Find(groups, p.MountGroup)
		if !ok {
			return nil, nil // unknownNames tells
		}
		gid = group.Id
	}
	conf, err := libvirtd.ReadQEMUConf(h, "")
	if err != nil {
		return nil, err
	}
	if conf.HugetlbfsMounts, _, err = correctedMounts(h, p, conf); err != nil {
		return nil, err
	}
	used, hidden, err := libvirtd.DriverMounts(h, conf)
	if err != nil {
		return nil, err
	}
	standard, next, err := p.defaultSizes(h)
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, size := range sizes {
		if slices.ContainsFunc(hidden, func(m host.Mount) bool { return m.Size == size }) {
			continue // the mount check reports that
		}
		f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.NoMount, Fixable: true}
		found, err := mountToKeep(h, used, size, p.Persist)
		if err != nil {
			return findings, err
		}
		m := host.Mount{Size: size, Mode: 0o755}
		if found != nil {
			m = *found
			f.Have = m.Point + " is mounted"
			f.Changes, err = ownRoot(h, m, gid, p.Persist)
		} else {
			if m, err = newMount(h, conf.HugetlbfsMounts, size, p.Persist); err != nil {
				return findings, err
			}
			f.Have = fmt.Sprintf("no hugetlbfs with pages of %s is mounted", size)
			if p.Persist && slices.ContainsFunc(used, func(m host.Mount) bool { return m.Size == size }) {
				f.Have += " on a folder that is there at boot"
			}
			if gid >= 0 {
				m.GID, m.Mode = gid, 0o1770
			}
			f.Changes, err = mountNow(h, m, p.Persist)
		}
		if err != nil {
			return findings, err
		}
		f.Need = m.Point
		if p.Persist {
			more, err := boot.MountPlan(h, m, size, next, p.MountGroup)
			if left := byHand(err, f.Have); left != nil {
				left.Need = m.Point + ", at each boot"
				findings, err = append(findings, *left), nil
			}
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
	if p.DefaultHugepagesz && next != standard {
		for _, m := range used {
			if by, _, err := boot.MountWithoutSize(h, m.Point); by == "" || m.Size != standard || err != nil {
				continue
			}
			changes, err := boot.MountPlan(h, m, m.Size, next, "")
			if left := byHand(err, m.Point+" is mounted without pagesize="); left != nil {
				left.Need = fmt.Sprintf("%s with pages of %s, at each boot", m.Point, m.Size)
				findings = append(findings, *left)
				continue
			}
			if err != nil {
				return findings, err
			}
			findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.NoMount, Fixable: true, Changes: changes,
				Have: fmt.Sprintf("%s is mounted without pagesize=, and so with the default size, which becomes %s", m.Point, next),
				Need: fmt.Sprintf("%s with pages of %s, at each boot", m.Point, m.Size)})
		}
	}
	return findings, nil
}}

// byHand is the finding of what the user must see to; nil: err says nothing of that.
func byHand(err error, have string) *hostprep.Finding {
	var do boot.ByHandError
	if !errors.As(err, &do) {
		return nil
	}
	return &hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: have + ", and vmhuge can't have that at boot here", Do: do.Error()}
}

// defaultSizes are the default size of huge pages, and that of the boots to come.
func (p Options) defaultSizes(h host.Host) (now, next pages.Size, err error) {
	mem, err := h.Meminfo()
	if err != nil || !p.Persist {
		return mem.HugePageSize, mem.HugePageSize, err
	}
	if size := p.firstSize(); p.DefaultHugepagesz && size != 0 {
		return mem.HugePageSize, size, nil
	}
	table, err := boot.Read(h)
	if err != nil {
		return 0, 0, err
	}
	coming, err := boot.NextDefault(h)
	if coming != nil {
		return mem.HugePageSize, coming.Size, err
	}
	return mem.HugePageSize, cmp.Or(table.DefaultSize, mem.HugePageSize), err
}

// mountToKeep returns the mount of a size that is there, and can be there again after each
// boot if it is to persist; nil: a new one is needed.
func mountToKeep(h host.Host, mounts []host.Mount, size pages.Size, persist bool) (*host.Mount, error) {
	for _, m := range mounts {
		if m.Size != size || m.Hidden != "" {
			continue
		}
		if !persist {
			return &m, nil
		}
		if kept, err := keepable(h, m.Point); kept || err != nil {
			return &m, err
		}
	}
	return nil, nil
}

// keepable says whether what mounts a hugetlbfs at boot has a folder for it. Without systemd,
// /dev and /run are empty then, but for what qemu-kvm's own service and those make who have
// written a line of fstab.
func keepable(h host.Host, point string) (bool, error) {
	if h.BootedWithSystemd() || !host.Within(point, "/dev") && !host.Within(point, "/run") {
		return true, nil
	}
	text, err := h.ReadIfThere(qemuKVMFile)
	if err != nil || text != "" && point == qemuKVMMount {
		return true, err
	}
	return h.InFstab(point)
}

// newMount is a hugetlbfs that is not there: on a folder that qemu.conf's list names for it, else
// where fstab has it.
func newMount(h host.Host, listed []string, size pages.Size, persist bool) (host.Mount, error) {
	m := host.Mount{Size: size, Mode: 0o755}
	there, err := h.UnmountedInFstab(size)
	if err != nil {
		return m, err
	}
	m.Point, err = h.PointFor(size, listed)
	switch {
	case err != nil:
	case there != nil && (m.Point == "" || m.Point == there.Point):
		return *there, nil
	case m.Point == "":
		m.Point, err = newPoint(h, size, persist)
	}
	return m, err
}

// newPoint is where a hugetlbfs goes for which there is no place. Without systemd, what mounts it
// at boot makes no folder, and /dev is empty by then: a lasting mount goes to where folders last.
func newPoint(h host.Host, size pages.Size, persist bool) (string, error) {
	if persist && !h.BootedWithSystemd() {
		return "/var/lib/hugepages" + pages.SizeWord(size), nil
	}
	return h.NewPoint(size)
}

// mountSizes returns the page sizes for which QEMU maps files.
func mountSizes(h host.Host, p Options) ([]pages.Size, error) {
	var sizes []pages.Size
	for _, g := range p.guests() {
		sizes = append(sizes, hostprep.FileSizes(g)...)
	}
	for _, need := range p.Pages {
		if need.Pages > 0 {
			sizes = append(sizes, need.Size)
		}
	}
	if len(p.OnDemand) > 0 {
		sizes = append(sizes, pages.Size1GiB)
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

// mountNow mounts what is not mounted.
func mountNow(h host.Host, m host.Mount, persist bool) ([]change.Change, error) {
	var changes []change.Change
	st, err := h.Lstat(m.Point)
	if err != nil {
		return nil, err
	}
	if st == nil {
		changes = append(changes, change.Change{Kind: change.KindMkdir, Path: m.Point, To: "0755 0:0", EachBoot: persist})
	}
	return append(changes, change.Change{Kind: change.KindMount, Path: m.Point, To: m.Options(), EachBoot: persist}), nil
}

// ownRoot gives a mount's root to a group, -1: leaves its group, and corrects the mode
// 1352 of a mode=1770 that was read as a decimal number. The bits by which
// libvirt lets everybody search the root may stay.
func ownRoot(h host.Host, m host.Mount, gid int, persist bool) ([]change.Change, error) {
	const slip = 0o1352
	st, err := h.Lstat(m.Point)
	if err != nil || st == nil {
		return nil, err
	}
	var changes []change.Change
	if gid >= 0 && int(st.Gid) != gid {
		changes = append(changes, change.Change{Kind: change.KindChown, Path: m.Point, EachBoot: persist,
			From: fmt.Sprintf("%d:%d", st.Uid, st.Gid), To: fmt.Sprintf("%d:%d", st.Uid, gid)})
	}
	if mode := st.Mode & 0o7777 &^ change.Searchable; gid >= 0 && mode != 0o1770&^change.Searchable || mode == slip&^change.Searchable {
		changes = append(changes, change.Change{Kind: change.KindChmod, Path: m.Point, From: host.ModeText(st.Mode), To: "1770", EachBoot: persist})
	}
	return changes, nil
}
