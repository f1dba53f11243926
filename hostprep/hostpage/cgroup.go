package hostpage

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
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
	findings, err := check.Cgroup.Detect(h, g.Guest)
	if err != nil {
		return nil, err
	}
	facts := of(name, findings, hostprep.Blocker)
	above, err := libvirtd.CgroupsAbove(h, "")
	if err != nil {
		return facts, err
	}
	state, err := h.Pools()
	if err != nil {
		return facts, nil // pageSizesCheck says why
	}
	for _, c := range above {
		for _, size := range state.Sizes() {
			limits, err := c.HugetlbLimits(h, size)
			if err != nil {
				return facts, err
			}
			for _, l := range limits {
				if left := max(0, l.Max-l.Used) / int64(size); left > 0 || size != g.size {
					facts = append(facts, off(hostprep.Note, name, fmt.Sprintf("%s leaves %s to all guests", l.File, pages.Count(left, size)),
						"no limit, unless intended", fmt.Sprintf("echo %s > %s", l.None, l.File)))
				}
			}
		}
	}
	if len(facts) == 0 {
		facts = append(facts, fine(name, "no cgroup above the guests limits huge pages"))
	}
	return facts, nil
}}

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
