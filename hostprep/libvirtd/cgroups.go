package libvirtd

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// Cgroup is a cgroup above a guest's, in the hierarchy that limits huge pages.
type Cgroup struct {
	Dir string
	V2  bool
}

// CgroupsAbove lists the cgroups in which libvirt makes that of a guest with this
// <partition>; "": the usual one.
func CgroupsAbove(h host.Host, partitionHere string) ([]Cgroup, error) {
	mounts, err := h.MountTable()
	if err != nil {
		return nil, err
	}
	var all []Cgroup
	for _, m := range mounts {
		var above []string
		v2 := m.FsType == "cgroup2"
		switch {
		case v2:
			above, err = partition(h, partitionHere)
		case m.FsType == "cgroup" && m.Options.Has("hugetlb"):
			above, err = daemonCgroup(h)
		}
		if err != nil {
			return nil, err
		}
		dir := m.Point
		for _, name := range above {
			dir = path.Join(dir, name)
			all = append(all, Cgroup{dir, v2})
		}
	}
	return all, nil
}

// HugetlbLimit is a limit on pages of one size, in bytes.
type HugetlbLimit struct {
	Reserved  bool   // it counts what is reserved; else what is in use
	File      string // that sets it
	Max, Used int64
	None      string // what lifts it
}

// noLimitV1 is a little less than the number that cgroup v1 shows for "no limit": the
// largest multiple of the page size.
const noLimitV1 = 1<<63 - 1<<40

// HugetlbLimits reads the limits of a cgroup on pages of a size.
//
// Source: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/hugetlb.rst, HugeTLB.
func (c Cgroup) HugetlbLimits(h host.Host, size pages.Size) ([]HugetlbLimit, error) {
	files := [][2]string{{"rsvd.limit_in_bytes", "rsvd.usage_in_bytes"}, {"limit_in_bytes", "usage_in_bytes"}}
	none := "-1"
	if c.V2 {
		files, none = [][2]string{{"rsvd.max", "rsvd.current"}, {"max", "current"}}, "max"
	}
	var limits []HugetlbLimit
	for i, f := range files {
		prefix := path.Join(c.Dir, "hugetlb."+cgroupSize(size)+".")
		most, limited, err := ReadLimit(h, prefix+f[0])
		if err != nil {
			return limits, err
		}
		if !limited || most >= noLimitV1 {
			continue
		}
		used, _, err := ReadLimit(h, prefix+f[1])
		if err != nil {
			return limits, err
		}
		limits = append(limits, HugetlbLimit{Reserved: i == 0, File: prefix + f[0], Max: most, Used: used, None: none})
	}
	return limits, nil
}

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
	daemon, err := ReadDaemon(h)
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

// ReadLimit reads a number of bytes of a cgroup's file; false: there is none, or it is max.
func ReadLimit(h host.Host, file string) (n int64, limited bool, err error) {
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
