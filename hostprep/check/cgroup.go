package check

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
)

// Cgroup asks whether the cgroups above the guest's let it have its pages.
// A limit of what is reserved fails the mapping (ENOMEM), one of what is in use
// the first touch (SIGBUS): Documentation/admin-guide/cgroup-v2.rst, HugeTLB.
var Cgroup = Check{"cgroup", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	totals := g.Demand.Totals()
	if len(totals) == 0 || g.Session {
		return nil, nil
	}
	above, err := cgroupsAbove(h, g.Demand.Partition)
	if err != nil {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, c := range above {
		for _, total := range totals {
			over, err := overLimit(h, c.dir, total, c.limits)
			if err != nil {
				return findings, err
			}
			findings = append(findings, over...)
		}
	}
	return findings, nil
}}

// guestCgroup is a cgroup above a guest's, with the limits that its hierarchy
// has.
type guestCgroup struct {
	dir    string
	limits []cgroupLimit
}

// cgroupsAbove lists the cgroups in which libvirt makes that of a guest.
func cgroupsAbove(h host.Host, partitionHere string) ([]guestCgroup, error) {
	mounts, err := h.MountTable()
	if err != nil {
		return nil, err
	}
	var all []guestCgroup
	for _, m := range mounts {
		var above []string
		var limits []cgroupLimit
		switch {
		case m.FsType == "cgroup2":
			limits = limitsV2
			if above, err = partition(h, partitionHere); err != nil {
				return nil, err
			}
		case m.FsType == "cgroup" && slices.Contains(m.Options, "hugetlb"):
			limits = limitsV1
			if above, err = daemonCgroup(h); err != nil {
				return nil, err
			}
		}
		dir := m.Point
		for _, name := range above {
			dir = path.Join(dir, name)
			all = append(all, guestCgroup{dir, limits})
		}
	}
	return all, nil
}

// cgroupLimit is a pair of files, named behind hugetlb.SIZE.
type cgroupLimit struct {
	cause      hostprep.Cause
	max, usage string
	none       string // what lifts the limit
}

var (
	limitsV2 = []cgroupLimit{{hostprep.CgroupReserved, "rsvd.max", "rsvd.current", "max"}, {hostprep.CgroupUsed, "max", "current", "max"}}
	limitsV1 = []cgroupLimit{{hostprep.CgroupReserved, "rsvd.limit_in_bytes", "rsvd.usage_in_bytes", "-1"}, {hostprep.CgroupUsed, "limit_in_bytes", "usage_in_bytes", "-1"}}
)

// partition returns the folders of cgroup v2 in which libvirt makes the guest's.
// With systemd they are slices, a- below a and a-b below that
// (virSystemdMakeSliceName); without, names that stand for themselves.
func partition(h host.Host, name string) ([]string, error) {
	names := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	if len(names) == 0 {
		names = []string{"machine"}
	}
	systemd, err := h.Lstat("/run/systemd/system")
	if err != nil {
		return nil, err
	}
	machined, err := h.Lstat("/usr/share/dbus-1/system-services/org.freedesktop.machine1.service")
	if err != nil {
		return nil, err
	}
	for i := range names {
		switch {
		case systemd != nil && machined != nil && i > 0:
			names[i] = strings.TrimSuffix(names[i-1], ".slice") + "-" + names[i] + ".slice"
		case systemd != nil && machined != nil:
			names[i] += ".slice"
		case (i > 0 || !slices.Contains([]string{"machine", "user", "system"}, names[i])) && !strings.Contains(names[i], "."):
			names[i] += ".partition" // virCgroupSetPartitionSuffix
		}
	}
	return names, nil
}

// daemonCgroup returns the folders of libvirtd's own cgroup in the hierarchy of
// v1, in which QEMU stays: libvirt knows nothing of this controller.
func daemonCgroup(h host.Host) ([]string, error) {
	daemon, err := libvirtd.ReadDaemon(h)
	if err != nil || daemon == nil {
		return nil, err
	}
	text, err := h.ReadIfThere(path.Join("/proc", strconv.Itoa(daemon.PID), "cgroup"))
	// 4:hugetlb:/system.slice/libvirtd.service
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && slices.Contains(strings.Split(f[1], ","), "hugetlb") {
			return strings.FieldsFunc(f[2], func(r rune) bool { return r == '/' }), err
		}
	}
	return nil, err
}

// overLimit finds the limits of a cgroup that leave too little.
func overLimit(h host.Host, dir string, need pages.Total, limits []cgroupLimit) ([]hostprep.Finding, error) {
	var findings []hostprep.Finding
	for _, l := range limits {
		prefix := path.Join(dir, "hugetlb."+cgroupSize(need.PageSize)+".")
		most, limited, err := readLimit(h, prefix+l.max)
		if err != nil {
			return findings, err
		}
		if !limited {
			continue
		}
		used, _, err := readLimit(h, prefix+l.usage)
		if err != nil {
			return findings, err
		}
		bytes := need.Pages * int64(need.PageSize)
		if bytes <= most-used {
			continue
		}
		findings = append(findings, hostprep.Finding{
			Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: l.cause,
			Have: fmt.Sprintf("%s leaves %s", prefix+l.max, pages.Count(max(0, most-used)/int64(need.PageSize), need.PageSize)),
			Need: pages.Count(need.Pages, need.PageSize),
			Do:   fmt.Sprintf("echo %s > %s, or echo %d > it", l.none, prefix+l.max, used+bytes),
		})
	}
	return findings, nil
}

// readLimit reads a number of bytes; false: there is none, or it is max.
func readLimit(h host.Host, file string) (n int64, limited bool, err error) {
	text, err := h.ReadIfThere(file)
	text = strings.TrimSpace(text)
	if err != nil || text == "" || text == "max" {
		return 0, false, err
	}
	n, err = strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%s: %q is not a limit", file, text)
	}
	return n, true, nil
}

// cgroupSize writes a page size as the controller names its files: 2MB.
func cgroupSize(size pages.Size) string {
	switch kib := size.KiB(); {
	case kib >= 1<<20:
		return strconv.FormatInt(kib>>20, 10) + "GB"
	case kib >= 1<<10:
		return strconv.FormatInt(kib>>10, 10) + "MB"
	default:
		return strconv.FormatInt(kib, 10) + "KB"
	}
}
