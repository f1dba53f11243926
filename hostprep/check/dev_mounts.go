package check

import (
	"fmt"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/shell"
)

// DevMounts asks whether libvirt can give QEMU a /dev of its own, into which it moves what
// is mounted below the host's.
var DevMounts = Check{"/dev", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	table, err := h.MountTable()
	if err != nil || !g.System() {
		return nil, err
	}
	outer, inner := movedTwice(table)
	if inner == "" {
		return nil, nil
	}
	conf, err := libvirtd.ReadQEMUConf(h, g.Conf)
	if err != nil || conf.SharesMounts {
		return nil, err
	}
	return []hostprep.Finding{{
		Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.DevMountedTwice,
		Have: fmt.Sprintf("/dev is mounted twice, and libvirt then starts no guest with %s mounted below %s", inner, outer),
		Need: "nothing mounted below " + outer + ", or /dev mounted once",
		Do:   "umount " + shell.Quote(inner) + "; or write namespaces = [] into " + libvirtd.QEMUConfPath(h) + " && systemctl restart " + libvirtd.Name(h),
	}}, nil
}}

// movedTwice returns a mount below /dev that libvirt moves by itself although it moves the
// one above it, so that it fails; "": there is none. libvirt leaves out what is below
// another mount, but where it drops a second /dev from its list, it passes over the entry
// behind that (qemuDomainGetPreservedMounts() in libvirt 9.0 and 11.3; 7.0 moves none of them, so
// that QEMU sees nothing that is mounted below /dev).
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
