package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/shell"
)

// Covered asks whether something is mounted over one of the folders below a
// hugetlbfs in which libvirt has QEMU make its files. libvirt looks at the mount
// itself alone, so that the guest starts, on small pages of whatever is there.
var Covered = Check{"covered", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if g.Session {
		return nil, nil
	}
	mounts, err := usedMounts(h, g)
	if err != nil || len(mounts) == 0 {
		return nil, nil // Mount says why
	}
	table, err := h.MountTable()
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, m := range mounts {
		dir := h.Resolve(m.Point)
		for _, name := range strings.Split(g.BaseDir, "/") {
			dir = path.Join(dir, name)
			i := host.MountAt(table, dir)
			if i < 0 || table[i].Point != dir {
				continue
			}
			size, err := h.PageSizeAt(dir)
			if err != nil {
				return findings, err
			}
			if size == m.Size {
				continue // another hugetlbfs of the same page size: the guest finds its pages there
			}
			findings = append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.NoMount,
				Have: fmt.Sprintf("%s is mounted on %s, over the hugetlbfs on %s: libvirt starts the guest, but not on pages of %s", table[i].FsType, dir, m.Point, m.Size),
				Need: "nothing mounted below " + m.Point, Do: "umount " + shell.Quote(dir) + ", and take it out of /etc/fstab if it is there"})
		}
	}
	return slices.CompactFunc(findings, func(a, b hostprep.Finding) bool { return a.Have == b.Have }), nil
}}
