package hostprep

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/internal/pages"
)

// mountCheck asks whether libvirt has a hugetlbfs of each size that the guest
// maps files of, and whether the guest's files fit in.
//
// What is mounted after libvirt has started does not exist for it: see driver.
var mountCheck = Check{"mount", func(h Host, g Guest) ([]Finding, error) {
	if len(g.Demand.Items) == 0 {
		return nil, nil
	}
	d, err := h.driver(g)
	if err != nil {
		return nil, err
	}
	if slices.Contains(d.conf.HugetlbfsMounts, "") {
		conf := cmp.Or(g.Conf, qemuConfPath)
		return []Finding{{
			Severity: Blocker, Verdict: BadHost, Cause: ConfEmptyMount,
			Have: fmt.Sprintf(`hugetlbfs_mount = "" in %s keeps libvirt 9.0 from starting its QEMU driver`, conf),
			Need: "a mount, or [] for none",
			Do:   "change it in " + conf + " and restart libvirtd",
		}}, nil
	}
	var findings []Finding
	for _, size := range fileSizes(g) {
		if d.mountFor(size) == nil {
			f, err := h.noMount(g, d, size)
			if err != nil {
				return findings, err
			}
			findings = append(findings, f)
		}
	}
	if g.Demand.DefaultSize && len(d.known) == 0 && len(findings) == 0 {
		findings = append(findings, Finding{
			Severity: Blocker, Verdict: NoMount, Cause: MountMissing,
			Have: "libvirt knows no hugetlbfs, and the domain names no page size",
			Need: "a mounted hugetlbfs, from which libvirt takes the size",
			Do:   "vmhuge enable --size " + sizeWord(g.Demand.Items[0].PageSize),
		})
	}
	if g.Session {
		return findings, nil
	}
	for _, m := range d.hidden {
		findings = append(findings, Finding{
			Severity: Warning, Cause: OverMounted,
			Have: fmt.Sprintf("a %s is mounted over the hugetlbfs on %s", m.Hidden, m.Point),
			Need: "nothing over it: libvirtd does not start its QEMU driver like that",
			Do:   "umount " + m.Point,
		})
	}
	if len(fileSizes(g)) == 0 {
		return findings, nil
	}
	// libvirt makes a folder for the guest on every mount that it knows, also
	// on those that the guest has no files on.
	for _, m := range d.known {
		used := d.mountFor(m.Size)
		limits, err := h.limits(g, m, used.Point == m.Point)
		if err != nil {
			return findings, err
		}
		findings = append(findings, limits...)
	}
	return findings, nil
}}

// fileSizes returns the page sizes of which QEMU maps files of a hugetlbfs.
func fileSizes(g Guest) []pages.Size {
	var sizes []pages.Size
	for _, item := range g.Demand.Items {
		if item.Source != "memfd" && !slices.Contains(sizes, item.PageSize) {
			sizes = append(sizes, item.PageSize)
		}
	}
	return sizes
}

const orMemfd = "vmhuge enable --source memfd, which needs no mount"

// noMount says why libvirt has no mount of a size, and what makes one.
func (h Host) noMount(g Guest, d driver, size pages.Size) (Finding, error) {
	f := Finding{
		Severity: Blocker, Verdict: NoMount, Cause: MountMissing,
		Have: fmt.Sprintf("no hugetlbfs with pages of %s is mounted", size),
		Need: fmt.Sprintf("a hugetlbfs with pages of %s that libvirt knows", size),
		Do:   orMemfd,
	}
	if g.Session {
		f.Cause = SessionMount
		f.Have = "the user's qemu.conf names no hugetlbfs_mount of this size that the user can write"
		return f, nil
	}
	for _, m := range d.unknown {
		if m.Size == size {
			f.Cause = MountLate
			f.Have = m.Point + " was mounted after libvirtd started"
			if daemon, err := d.daemon(); err == nil && daemon != nil {
				f.Have = fmt.Sprintf("%s was mounted after libvirtd (process %d) started", m.Point, daemon.PID)
			}
			f.Do = "systemctl restart libvirtd, or " + orMemfd
			f.Restart = true
			return f, nil
		}
	}
	mem, err := h.Meminfo()
	if err != nil {
		return f, err
	}
	point, err := h.newPoint(size)
	if err != nil {
		return f, err
	}
	listed := d.conf.HugetlbfsMounts
	if listed != nil {
		f.Have += " on a hugetlbfs_mount of qemu.conf"
		// Which size an entry had that is not mounted now, nobody can tell; the
		// default is what a mount without options has.
		point = ""
		for _, entry := range listed {
			_, ok, err := h.mountOf(entry)
			if err != nil {
				return f, err
			}
			if !ok && filepath.IsAbs(entry) && size == mem.HugePageSize {
				point = filepath.Clean(entry)
				break
			}
		}
		if point == "" {
			f.Do = fmt.Sprintf("add a mount of this size to hugetlbfs_mount in %s and restart libvirtd, or %s",
				cmp.Or(g.Conf, qemuConfPath), orMemfd)
			return f, nil
		}
	}
	st, err := h.lstat(point)
	if err != nil || st != nil && !isDir(st) {
		return f, err
	}
	var changes []Change
	if st == nil {
		changes = append(changes, Change{Kind: KindMkdir, Path: point, To: "0755 0:0"})
	}
	changes = append(changes, Change{Kind: KindMount, Path: point, To: Mount{Size: size, Mode: 0o755}.options()})
	// A folder of libvirt's where no hugetlbfs is shows that it knows the place.
	base, err := h.lstat(path.Join(point, g.BaseDir))
	if err != nil {
		return f, err
	}
	known := base != nil || slices.Contains(g.KnownSizes, size)
	if known || slices.ContainsFunc(d.hidden, func(m Mount) bool { return m.Size == size }) {
		f.Cause = MountVanished
	}
	daemon, err := d.daemon()
	if err != nil {
		return f, err
	}
	if daemon == nil || listed != nil || known {
		f.mend(changes...)
		return f, nil
	}
	f.Changes, f.Restart = changes, true
	f.Do = JoinChanges(changes) + " && systemctl restart libvirtd, or " + orMemfd
	return f, nil
}

// limits finds what a mount refuses. used says that the guest's files of the
// mount's size will lie on it.
func (h Host) limits(g Guest, m Mount, used bool) ([]Finding, error) {
	var findings []Finding
	add := func(cause Cause, have, need, do string) {
		findings = append(findings, Finding{Severity: Blocker, Verdict: NoMount, Cause: cause, Have: have, Need: need, Do: do})
	}
	if m.ReadOnly {
		add(MountReadOnly, m.Point+" is mounted read-only", "to make a folder there: libvirt makes one on every hugetlbfs",
			"mount -o remount,rw "+m.Point)
	}
	var files, bytes int64
	for _, item := range g.Demand.Items {
		if used && item.Source != "memfd" && item.PageSize == m.Size && item.Pages > 0 {
			files++
			bytes += item.Pages * int64(m.Size)
		}
	}
	if free, limited := h.freeOn(m); limited && free < bytes {
		add(MountFull, fmt.Sprintf("%s of %s are free on %s, which is mounted with size=%d", count(free/int64(m.Size), m.Size),
			pages.FormatBytes(m.SizeLimit), m.Point, m.SizeLimit),
			count(bytes/int64(m.Size), m.Size), "mount it again with a larger size=, or without")
	}
	if m.NrInodes > 0 {
		inodes, missing, err := h.inodesOn(m, g.BaseDir)
		if err != nil {
			return findings, err
		}
		if need := missing + 1 + files; m.NrInodes-inodes < need {
			add(MountInodes, fmt.Sprintf("%d files more may be made on %s, which is mounted with nr_inodes=%d", max(0, m.NrInodes-inodes), m.Point, m.NrInodes),
				fmt.Sprintf("%d files and folders", need), "mount it again with a larger nr_inodes=, or without")
		}
	}
	return findings, nil
}

// freeOn returns the bytes that a mount with size= still gives. The counters
// of statfs are in pages; f_blocks is 0 without a limit and all ones with
// min_size= alone (hugetlbfs_statfs).
func (h Host) freeOn(m Mount) (free int64, limited bool) {
	if m.SizeLimit == 0 {
		return 0, false
	}
	var s unix.Statfs_t
	if h.real() && unix.Statfs(m.Point, &s) == nil && int64(s.Blocks) > 0 {
		return int64(s.Bavail) * int64(m.Size), true
	}
	return m.SizeLimit, true
}

// inodesOn counts what is on a mount, its root included, and which of
// libvirt's folders are yet to be made. statfs tells inodes only with size=.
func (h Host) inodesOn(m Mount, baseDir string) (inodes, missing int64, err error) {
	err = filepath.WalkDir(h.Root.Path(m.Point), func(string, fs.DirEntry, error) error {
		inodes++
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	use, err := h.useOf(m)
	if err != nil {
		return 0, 0, err
	}
	inodes += use.files
	dir := m.Point
	for _, name := range strings.Split(baseDir, "/") {
		dir = path.Join(dir, name)
		st, err := h.lstat(dir)
		if err != nil {
			return 0, 0, err
		}
		if st == nil {
			missing++
		}
	}
	return inodes, missing, nil
}
