package hostprep

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// cgroupCheck asks whether the cgroups above the guest's let it have its pages.
// A limit of what is reserved fails the mapping (ENOMEM), one of what is in use
// the first touch (SIGBUS): Documentation/admin-guide/cgroup-v2.rst, HugeTLB.
var cgroupCheck = Check{"cgroup", func(h Host, g Guest) ([]Finding, error) {
	totals := g.Demand.Totals()
	if len(totals) == 0 || g.Session {
		return nil, nil
	}
	above, err := h.cgroupsAbove(g.Demand.Partition)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, c := range above {
		for _, total := range totals {
			over, err := h.overLimit(c.dir, total, c.limits)
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
func (h Host) cgroupsAbove(partition string) ([]guestCgroup, error) {
	mounts, err := h.mountTable()
	if err != nil {
		return nil, err
	}
	var all []guestCgroup
	for _, m := range mounts {
		var above []string
		var limits []cgroupLimit
		switch {
		case m.fsType == "cgroup2":
			limits = limitsV2
			if above, err = h.partition(partition); err != nil {
				return nil, err
			}
		case m.fsType == "cgroup" && slices.Contains(m.options, "hugetlb"):
			limits = limitsV1
			if above, err = h.daemonCgroup(); err != nil {
				return nil, err
			}
		}
		dir := m.point
		for _, name := range above {
			dir = path.Join(dir, name)
			all = append(all, guestCgroup{dir, limits})
		}
	}
	return all, nil
}

// cgroupLimit is a pair of files, named behind hugetlb.SIZE.
type cgroupLimit struct {
	cause      Cause
	max, usage string
	none       string // what lifts the limit
}

var (
	limitsV2 = []cgroupLimit{{CgroupReserved, "rsvd.max", "rsvd.current", "max"}, {CgroupUsed, "max", "current", "max"}}
	limitsV1 = []cgroupLimit{{CgroupReserved, "rsvd.limit_in_bytes", "rsvd.usage_in_bytes", "-1"}, {CgroupUsed, "limit_in_bytes", "usage_in_bytes", "-1"}}
)

// partition returns the folders of cgroup v2 in which libvirt makes the guest's.
// With systemd they are slices, a- below a and a-b below that
// (virSystemdMakeSliceName); without, names that stand for themselves.
func (h Host) partition(name string) ([]string, error) {
	names := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	if len(names) == 0 {
		names = []string{"machine"}
	}
	systemd, err := h.lstat("/run/systemd/system")
	if err != nil {
		return nil, err
	}
	machined, err := h.lstat("/usr/share/dbus-1/system-services/org.freedesktop.machine1.service")
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
func (h Host) daemonCgroup() ([]string, error) {
	daemon, err := h.Daemon()
	if err != nil || daemon == nil {
		return nil, err
	}
	text, err := h.readIfThere(path.Join("/proc", strconv.Itoa(daemon.PID), "cgroup"))
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
func (h Host) overLimit(dir string, need pages.Total, limits []cgroupLimit) ([]Finding, error) {
	var findings []Finding
	for _, l := range limits {
		prefix := path.Join(dir, "hugetlb."+cgroupSize(need.PageSize)+".")
		most, limited, err := h.readLimit(prefix + l.max)
		if err != nil {
			return findings, err
		}
		if !limited {
			continue
		}
		used, _, err := h.readLimit(prefix + l.usage)
		if err != nil {
			return findings, err
		}
		bytes := need.Pages * int64(need.PageSize)
		if bytes <= most-used {
			continue
		}
		findings = append(findings, Finding{
			Severity: Blocker, Verdict: BadHost, Cause: l.cause,
			Have: fmt.Sprintf("%s leaves %s", prefix+l.max, count(max(0, most-used)/int64(need.PageSize), need.PageSize)),
			Need: count(need.Pages, need.PageSize),
			Do:   fmt.Sprintf("echo %s > %s, or echo %d > it", l.none, prefix+l.max, used+bytes),
		})
	}
	return findings, nil
}

// readLimit reads a number of bytes; false: there is none, or it is max.
func (h Host) readLimit(file string) (n int64, limited bool, err error) {
	text, err := h.readIfThere(file)
	text = strings.TrimSpace(text)
	if err != nil || text == "" || text == "max" {
		return 0, false, err
	}
	n, err = strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%s: %q is no limit", file, text)
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
