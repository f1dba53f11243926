package check

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
	"vmhuge/internal/versions"
)

// Mount asks whether libvirt has a hugetlbfs of each size that the guest
// maps files of, and whether the guest's files fit in.
//
// libvirt does not see what is mounted after it has started: see Driver.
var Mount = Check{"mount", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if len(g.Demand.Items) == 0 {
		return nil, nil
	}
	d, err := Driver(h, g)
	if err != nil {
		return nil, err
	}
	conf := cmp.Or(g.Conf, libvirtd.QEMUConfPath(h))
	if why := d.Conf.NoDriver(conf); why != "" {
		return []hostprep.Finding{{
			Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.ConfEmptyMount,
			Have: why,
			Need: "a mount, or [] for none",
			Do:   "change it in " + libvirtd.ChangeConf(h, g.Conf),
		}}, nil
	}
	var findings []hostprep.Finding
	for _, size := range unmounted(d, g) {
		state, err := h.Pools()
		if err != nil {
			return findings, err
		}
		if _, has := state.Global(size); has { // else nothing can be mounted, and PageSize says so
			f, err := NoMount(h, g, d, size)
			if err != nil {
				return findings, err
			}
			findings = append(findings, f)
		}
	}
	if g.Demand.DefaultSize && len(d.Known) == 0 && len(findings) == 0 {
		findings = append(findings, hostprep.Finding{
			Severity: hostprep.Blocker, Verdict: hostprep.NoMount, Cause: hostprep.MountMissing,
			Have: "libvirt knows no hugetlbfs mount, and the domain names no page size",
			Need: "a hugetlbfs mount, whose page size is libvirt's default",
			Do:   enable(g, g.Demand.Items[0].PageSize),
		})
	}
	if g.Session {
		return findings, nil
	}
	refused, err := refusedMounts(h, g, d, findings)
	if findings = append(findings, refused...); err != nil {
		return findings, err
	}
	if len(hostprep.FileSizes(g)) == 0 && !versions.MemfdAlone.LackedBy(g.Libvirt, g.QEMU) {
		return findings, nil
	}
	// libvirt makes a folder for the guest on every mount that it knows, also
	// on those that the guest has no files on.
	for _, m := range d.Known {
		used := d.MountFor(m.Size)
		limits, err := limits(h, g, m, used.Point == m.Point)
		if err != nil {
			return findings, err
		}
		findings = append(findings, limits...)
	}
	return findings, nil
}}

// unmounted are the page sizes of the guest's files for which libvirt has no mount.
func unmounted(d libvirtd.Driver, g hostprep.Guest) []pages.Size {
	return slices.DeleteFunc(hostprep.FileSizes(g), func(size pages.Size) bool { return d.MountFor(size) != nil })
}

// article is that of the name of a file system: an ext4, an xfs.
func article(name string) string {
	if strings.IndexAny(name, "aeioux") == 0 {
		return "an"
	}
	return "a"
}

// refusedMounts finds the mounts with which libvirt does not start its QEMU driver. A daemon
// that runs has found them in order. Those that the findings so far mount are left to these.
func refusedMounts(h host.Host, g hostprep.Guest, d libvirtd.Driver, before []hostprep.Finding) ([]hostprep.Finding, error) {
	f := hostprep.Finding{Severity: hostprep.Warning, Cause: hostprep.OverMounted}
	var findings []hostprep.Finding
	for _, m := range d.Hidden {
		f.Have, f.Do = fmt.Sprintf("%s %s is mounted over the hugetlbfs on %s", article(m.Hidden), m.Hidden, m.Point), "umount "+shell.Quote(m.Point)
		f.Need = "nothing mounted over it: with that, " + libvirtd.Name(h) + " does not start its QEMU driver"
		findings = append(findings, f)
	}
	for _, entry := range d.Conf.HugetlbfsMounts {
		_, ok, err := h.MountOf(entry)
		if err != nil {
			return findings, err
		}
		mounts := func(f hostprep.Finding) bool {
			return slices.ContainsFunc(f.Changes, func(c change.Change) bool { return c.Kind == change.KindMount && c.Path == path.Clean(entry) })
		}
		if !ok && !slices.ContainsFunc(before, mounts) {
			conf := cmp.Or(g.Conf, libvirtd.QEMUConfPath(h))
			f.Have, f.Do = fmt.Sprintf("hugetlbfs_mount in %s names %s, which is not on a hugetlbfs", conf, entry), "take it out of "+libvirtd.ChangeConf(h, g.Conf)
			state, err := h.Pools()
			if err != nil {
				return findings, err
			}
			if slices.ContainsFunc(state.Sizes(), func(size pages.Size) bool {
				point, err := h.PointFor(size, []string{entry})
				return err == nil && point != ""
			}) {
				f.Do = "mount it, or " + f.Do
			}
			f.Need = "a hugetlbfs there: without it, " + libvirtd.Name(h) + " does not start its QEMU driver"
			findings = append(findings, f)
		}
	}
	if len(findings) == 0 {
		return nil, nil
	}
	daemon, err := d.Daemon()
	for i := range findings {
		if daemon == nil && err == nil {
			findings[i].Severity, findings[i].Verdict = hostprep.Blocker, hostprep.BadHost
		}
	}
	return findings, err
}

// OrMemfd suggests memfd to a guest, which needs no mount.
func OrMemfd(h host.Host, g hostprep.Guest) string { return ToMemfd(h, g) + ", which needs no mount" }

// ToMemfd is the command that gives a guest a memfd, and what AppArmor lacks for one.
func ToMemfd(h host.Host, g hostprep.Guest) string {
	do := command(g, "enable --source memfd")
	g.Demand.Items = []pages.Item{{Source: "memfd"}}
	lacks, _ := LacksOfAppArmor(h, []hostprep.Guest{g}) // what can't be read, its own check says
	switch {
	case len(lacks) == 0:
		return do
	case lacks[0].Fixable:
		return do + " && " + command(g, "start")
	}
	return do + " with the rule " + MemfdRule + " in " + appArmorRules
}

// NoMount says why libvirt has no mount of a size, and what makes one.
func NoMount(h host.Host, g hostprep.Guest, d libvirtd.Driver, size pages.Size) (hostprep.Finding, error) {
	f := hostprep.Finding{
		Severity: hostprep.Blocker, Verdict: hostprep.NoMount, Cause: hostprep.MountMissing,
		Have: fmt.Sprintf("no hugetlbfs with pages of %s is mounted", size),
		Need: fmt.Sprintf("a hugetlbfs with pages of %s that libvirt knows", size),
		Do:   OrMemfd(h, g),
	}
	if g.Session {
		f.Cause = hostprep.SessionMount
		f.Have = "the user's qemu.conf names no hugetlbfs_mount of this size that the user can write to"
		return f, nil
	}
	for _, m := range d.Unknown {
		if m.Size == size {
			f.Cause = hostprep.MountLate
			name := libvirtd.Name(h)
			f.Have = fmt.Sprintf("%s was mounted after %s started", m.Point, name)
			if daemon, err := d.Daemon(); err == nil && daemon != nil {
				f.Have = fmt.Sprintf("%s was mounted after %s (process %d) started", m.Point, name, daemon.PID)
			}
			f.Do = "systemctl restart " + name + ", or " + OrMemfd(h, g)
			f.Restart = true
			return f, nil
		}
	}
	point, err := h.NewPoint(size)
	if err != nil {
		return f, err
	}
	m, listed := host.Mount{Size: size, Mode: 0o755}, d.Conf.HugetlbfsMounts
	if there, err := h.UnmountedInFstab(size); err != nil {
		return f, err
	} else if there != nil && listed == nil {
		f.Have += ", though fstab has one on " + there.Point
		m, point = *there, there.Point
	}
	if listed != nil {
		f.Have += " on a hugetlbfs_mount of qemu.conf"
		if point, err = h.PointFor(size, listed); err != nil {
			return f, err
		}
		if point == "" {
			f.Do = fmt.Sprintf("add a mount of this size to hugetlbfs_mount in %s; or %s", libvirtd.ChangeConf(h, g.Conf), OrMemfd(h, g))
			return f, nil
		}
		f.Need += ": without one on " + point + ", " + libvirtd.Name(h) + " does not start its QEMU driver"
	}
	st, err := h.Lstat(point)
	if err != nil || st != nil && !host.IsDir(st) {
		return f, err
	}
	var changes []change.Change
	if st == nil {
		changes = append(changes, change.Change{Kind: change.KindMkdir, Path: point, To: "0755 0:0"})
	}
	changes = append(changes, change.Change{Kind: change.KindMount, Path: point, To: m.Options()})
	// A folder of libvirt's where no hugetlbfs is shows that it knows the place.
	base, err := h.Lstat(path.Join(point, g.BaseDir))
	if err != nil {
		return f, err
	}
	known := base != nil || slices.Contains(g.KnownSizes, size)
	if known || slices.ContainsFunc(d.Hidden, func(m host.Mount) bool { return m.Size == size }) {
		f.Cause = hostprep.MountVanished
	}
	daemon, err := d.Daemon()
	if err != nil {
		return f, err
	}
	if daemon == nil || listed != nil || known {
		if daemon != nil {
			changes = append(changes, foldersOn(g, point)...)
		}
		f.Fix(changes...)
		return f, nil
	}
	f.Changes, f.Restart = changes, true
	f.Do = change.Join(changes) + " && systemctl restart " + daemon.Name + ", or " + OrMemfd(h, g)
	return f, nil
}

// limits finds what a mount refuses. used says that the guest's files of the mount's
// size will be on it.
func limits(h host.Host, g hostprep.Guest, m host.Mount, used bool) ([]hostprep.Finding, error) {
	var findings []hostprep.Finding
	add := func(cause hostprep.Cause, have, need, do string) {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.NoMount, Cause: cause, Have: have, Need: need, Do: do})
	}
	if m.ReadOnly {
		add(hostprep.MountReadOnly, m.Point+" is mounted read-only", "a writable mount: libvirt creates a folder on every hugetlbfs",
			"mount -o remount,rw "+m.Point)
	}
	var files, bytes int64
	for _, item := range g.Demand.Items {
		if used && item.Source != "memfd" && item.PageSize == m.Size && item.Pages > 0 {
			files++
			bytes += item.Pages * int64(m.Size)
		}
	}
	if free, limited := h.FreeOn(m); limited && free < bytes {
		add(hostprep.MountFull, fmt.Sprintf("%s of %s are free on %s, which is mounted with size=%d", pages.Count(free/int64(m.Size), m.Size),
			pages.FormatBytes(m.SizeLimit), m.Point, m.SizeLimit),
			pages.Count(bytes/int64(m.Size), m.Size), MountAnew(m, "size=")+", or with a larger one")
	}
	if m.NrInodes > 0 {
		inodes, missing, err := inodesOn(h, m, g.BaseDir)
		if err != nil {
			return findings, err
		}
		if need := missing + 1 + files; m.NrInodes-inodes < need {
			add(hostprep.MountInodes, fmt.Sprintf("%d more files fit on %s, which is mounted with nr_inodes=%d", max(0, m.NrInodes-inodes), m.Point, m.NrInodes),
				fmt.Sprintf("%d files and folders", need), MountAnew(m, "nr_inodes=")+", or with a larger one")
		}
	}
	return findings, nil
}

// MountAnew says how to have a mount without an option. A remount would change nothing:
// hugetlbfs has no reconfigure (hugetlbfs_fs_context_ops in fs/hugetlbfs/inode.c).
func MountAnew(m host.Mount, option string) string {
	return fmt.Sprintf("umount %s with no guest on it, and mount it again without %s", shell.Quote(m.Point), option)
}

// inodesOn counts the inodes on a mount, its root included, and the folders that libvirt
// has yet to make. statfs reports inodes only on a mount with size=.
func inodesOn(h host.Host, m host.Mount, baseDir string) (inodes, missing int64, err error) {
	err = filepath.WalkDir(h.Root.Path(m.Point), func(string, fs.DirEntry, error) error {
		inodes++
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	use, err := h.UseOf(m)
	if err != nil {
		return 0, 0, err
	}
	inodes += use.Files
	dir := m.Point
	for _, name := range strings.Split(baseDir, "/") {
		dir = path.Join(dir, name)
		st, err := h.Lstat(dir)
		if err != nil {
			return 0, 0, err
		}
		if st == nil {
			missing++
		}
	}
	return inodes, missing, nil
}
