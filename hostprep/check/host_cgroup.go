package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// hugetlbCgroupCheck shows the limits of huge pages in the cgroups above the
// guests, on the way to machine.slice.
var hugetlbCgroupCheck = hostCheck{"cgroup", func(h host.Host, g anyGuest) ([]Fact, error) {
	const name = "cgroup"
	controller, err := hasHugetlbController(h)
	if err != nil {
		return nil, err
	}
	if !controller {
		return []Fact{fine(name, "no limits: the kernel has no hugetlb controller")}, nil
	}
	findings, err := Cgroup.Detect(h, g.Guest)
	if err != nil {
		return nil, err
	}
	facts := of(name, findings, hostprep.Blocker)
	above, err := cgroupsAbove(h, "")
	if err != nil {
		return facts, err
	}
	state, err := h.Pools()
	if err != nil {
		return facts, nil // pageSizesCheck says why
	}
	for _, c := range above {
		for _, size := range state.Sizes() {
			for _, l := range c.limits {
				prefix := path.Join(c.dir, "hugetlb."+cgroupSize(size)+".")
				most, limited, err := readLimit(h, prefix+l.max)
				if err != nil {
					return facts, err
				}
				used, _, err := readLimit(h, prefix+l.usage)
				if err != nil {
					return facts, err
				}
				if left := max(0, most-used) / int64(size); limited && most < noLimitV1 && (left > 0 || size != g.size) {
					facts = append(facts, off(hostprep.Note, name, fmt.Sprintf("%s leaves %s to all guests", prefix+l.max, pages.Count(left, size)),
						"no limit, unless intended", fmt.Sprintf("echo %s > %s", l.none, prefix+l.max)))
				}
			}
		}
	}
	if len(facts) == 0 {
		facts = append(facts, fine(name, "no cgroup above the guests limits huge pages"))
	}
	return facts, nil
}}

// noLimitV1 is a little less than the number that cgroup v1 shows for "no limit": the
// largest one, rounded down to whole pages.
const noLimitV1 = 1<<63 - 1<<40

// hasHugetlbController says whether cgroups can limit huge pages. Kernels since
// 6.14 leave out of /proc/cgroups what only v2 has.
//
//	#subsys_name	hierarchy	num_cgroups	enabled
//	hugetlb	0	8	1
func hasHugetlbController(h host.Host) (bool, error) {
	text, err := h.ReadIfThere("/proc/cgroups")
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "hugetlb" && f[3] == "1" {
			return true, nil
		}
	}
	mounts, err := h.MountTable()
	for _, m := range mounts {
		if m.FsType != "cgroup2" {
			continue
		}
		if text, err = h.ReadIfThere(path.Join(m.Point, "cgroup.controllers")); slices.Contains(strings.Fields(text), "hugetlb") {
			return true, err
		}
	}
	return false, err
}
