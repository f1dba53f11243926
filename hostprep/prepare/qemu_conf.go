package prepare

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
)

// qemuConfStep corrects hugetlbfs_mount in libvirt's qemu.conf: entries that keep libvirtd
// from starting its driver, and mounts that a guest needs and that are missing. If
// qemu.conf does not set it, it stays so: libvirt then uses all mounts.
var qemuConfStep = Step{"qemu-conf", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	conf, err := libvirtd.ReadQEMUConf(h, "")
	if err != nil {
		return nil, err
	}
	mounts, have, err := correctedMounts(h, p, conf)
	if err != nil || len(have) == 0 {
		return nil, err
	}
	f := hostprep.Finding{
		Severity: hostprep.Blocker, Verdict: hostprep.NoMount, Restart: true,
		Have: "in " + libvirtd.QEMUConfPath(h) + " hugetlbfs_mount " + strings.Join(have, ", and "),
		Need: "only mounts, and one for each page size that is needed",
	}
	if slices.Contains(conf.HugetlbfsMounts, "") {
		f.Verdict, f.Cause = hostprep.BadHost, hostprep.ConfEmptyMount
	}
	text := "no hugetlbfs_mount"
	if mounts != nil {
		text = `hugetlbfs_mount = ["` + strings.Join(mounts, `", "`) + `"]`
	}
	if nixOS, err := h.NixOS(); err != nil {
		return nil, err
	} else if nixOS {
		f.Do, f.Restart = "put "+text+" into "+libvirtd.ChangeConf(h, ""), false
		if mounts == nil {
			f.Do = "take hugetlbfs_mount out of " + libvirtd.ChangeConf(h, "")
		}
		return []hostprep.Finding{f}, nil
	}
	_, err = f.FixFile(h, change.SystemFile(libvirtd.QEMUConfPath(h), func(text string) (string, error) { return libvirtd.SetMounts(text, mounts) }), text)
	return []hostprep.Finding{f}, err
}}

// correctedMounts returns hugetlbfs_mount as qemuConfStep leaves it, nil: not set, and what is
// wrong with the present one.
func correctedMounts(h host.Host, p Options, conf libvirtd.QEMUConf) (mounts []string, have []string, err error) {
	if conf.HugetlbfsMounts == nil {
		return nil, nil, nil
	}
	mounts, have, err = fixedMounts(h, p, conf.HugetlbfsMounts, neededSizes(p))
	if len(have) == 0 {
		return conf.HugetlbfsMounts, nil, err
	}
	if len(mounts) == 0 { // with [] libvirt would use no mount at all
		mounts = nil
	}
	return mounts, have, err
}

// neededSizes are the page sizes for which guests of the system driver map files, or will,
// as pages are asked for that are no program's and no user's.
func neededSizes(p Options) []pages.Size {
	var sizes []pages.Size
	if p.For == "" && p.User == "" {
		for _, need := range p.Pages {
			sizes = append(sizes, need.Size)
		}
		if len(p.OnDemand) > 0 {
			sizes = append(sizes, pages.Size1GiB)
		}
	}
	for _, g := range p.guests() {
		for _, size := range hostprep.FileSizes(g) {
			if g.System() && size != 0 && !slices.Contains(sizes, size) {
				sizes = append(sizes, size)
			}
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// fixedMounts returns a corrected hugetlbfs_mount, and what is wrong with the present
// one; nil: it is not to be set. The default entry stays the default, if it stays.
func fixedMounts(h host.Host, p Options, entries []string, needed []pages.Size) (mounts []string, have []string, err error) {
	covered := map[pages.Size]bool{}
	var empty []string // no hugetlbfs is there
	for _, entry := range entries {
		m, ok, err := h.MountOf(entry)
		switch {
		case err != nil:
			return nil, nil, err
		case entry == "":
			have = append(have, `has "", which keeps libvirt from starting its QEMU driver`)
			continue
		case ok:
			kept, err := keepable(h, m.Point)
			if err != nil {
				return nil, nil, err
			}
			if p.Persist && !kept && slices.Contains(needed, m.Size) {
				have = append(have, "names "+entry+", where nothing is mounted after a reboot")
				continue
			}
			covered[m.Size] = true
		default:
			empty = append(empty, entry)
		}
		mounts = append(mounts, entry)
	}
	for _, entry := range empty {
		// mountsStep mounts a hugetlbfs there, where its size is needed.
		serves := false
		for _, size := range needed {
			point, err := h.PointFor(size, []string{entry})
			if err != nil {
				return nil, nil, err
			}
			if point != "" && !covered[size] {
				serves, covered[size] = true, true
			}
		}
		if !serves {
			have = append(have, "names "+entry+", where no hugetlbfs is mounted")
			mounts = slices.DeleteFunc(mounts, func(m string) bool { return m == entry })
		}
	}
	for _, size := range needed {
		if covered[size] {
			continue
		}
		point, err := mountPoint(h, size, p.Persist)
		if err != nil {
			return nil, nil, err
		}
		have = append(have, fmt.Sprintf("has no mount with pages of %s", size))
		mounts = append(mounts, point)
	}
	return libvirtd.KeepDefault(mounts, libvirtd.DefaultMount(entries)), have, nil
}

// mountPoint is where a hugetlbfs of a size is mounted, or will be.
func mountPoint(h host.Host, size pages.Size, persist bool) (string, error) {
	mounts, err := h.Mounts()
	if err != nil {
		return "", err
	}
	switch m, err := mountToKeep(h, mounts, size, persist); {
	case err != nil:
		return "", err
	case m != nil:
		return m.Point, nil
	}
	m, err := newMount(h, nil, size, persist)
	return m.Point, err
}
