package check

import (
	"fmt"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/shell"
	"vmhuge/internal/versions"
)

// DevMounts asks whether libvirt can give QEMU a /dev of its own, into which it moves what
// is mounted below the host's.
var DevMounts = Check{"/dev", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	table, err := h.MountTable()
	if err != nil || !g.System() {
		return nil, err
	}
	conf, err := libvirtd.ReadQEMUConf(h, g.Conf)
	if err != nil || conf.SharesMounts {
		return nil, err
	}
	f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost}
	shared := func() string { return "write namespaces = [] into " + libvirtd.ChangeConf(h, "") }
	if versions.DevTwice.LackedBy(g.Libvirt, g.QEMU) {
		mount, err := hidden(h, g, table)
		if err != nil || mount == "" {
			return nil, err
		}
		f.Cause = hostprep.DevHidden
		f.Have = fmt.Sprintf("/dev is mounted twice, and libvirt %s then hides %s from QEMU", hostprep.VersionText(g.Libvirt), mount)
		f.Need = "/dev mounted once, or libvirt 8.8"
		f.Do = shared()
		return []hostprep.Finding{f}, nil
	}
	outer, inner := movedTwice(table)
	if inner == "" {
		return nil, nil
	}
	f.Cause = hostprep.DevMountedTwice
	f.Have = fmt.Sprintf("/dev is mounted twice, and libvirt then starts no guest with %s mounted below %s", inner, outer)
	f.Need = "nothing mounted below " + outer + ", or /dev mounted once"
	f.Do = "umount " + shell.Quote(inner) + "; or " + shared()
	return []hostprep.Finding{f}, nil
}}

// hidden returns a hugetlbfs that the guest needs below a /dev that is mounted twice; "": there
// is none.
func hidden(h host.Host, g hostprep.Guest, table []host.MountLine) (string, error) {
	devs := 0
	for _, m := range table {
		if m.Point == "/dev" {
			devs++
		}
	}
	if devs < 2 {
		return "", nil
	}
	mounts, err := usedMounts(h, g)
	for _, m := range mounts {
		if host.Within(h.Resolve(m.Point), "/dev") {
			return m.Point, nil
		}
	}
	return "", err
}

// movedTwice returns a mount below /dev that libvirt moves by itself although it moves the
// one above it, so that it fails; "": there is none. libvirt leaves out what is below
// another mount, but where it drops a second /dev from its list, it passes over the entry
// behind that (qemuDomainGetPreservedMounts() in libvirt 9.0 and 11.3).
func movedTwice(table []host.MountLine) (outer, inner string) {
	var points []string
	for _, m := range table {
		if host.Within(m.Point, "/dev") {
			points = append(points, m.Point)
		}
	}
	slices.Sort(points)
	for i := 1; i < len(points); i++ {
		if points[i] == "/dev" {
			points = slices.Delete(points, i, i+1)
			continue
		}
		below := slices.DeleteFunc(points[i+1:], func(p string) bool { return host.Within(p, points[i]) })
		points = points[:i+1+len(below)]
	}
	for i, outer := range points {
		for _, inner := range points[i+1:] {
			if outer != "/dev" && inner != outer && host.Within(inner, outer) {
				return outer, inner
			}
		}
	}
	return "", ""
}
