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
	ofMemory, err := memoryLimits(h, name)
	if err != nil {
		return nil, err
	}
	if !controller && len(ofMemory) == 0 {
		return []Fact{fine(name, "no limits: the kernel has no hugetlb controller")}, nil
	}
	findings, err := check.Cgroup.Detect(h, g.Guest)
	if err != nil {
		return nil, err
	}
	facts := append(of(name, findings, hostprep.Blocker), ofMemory...)
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

// memoryLimits shows the limits of memory there, where they count huge pages.
func memoryLimits(h host.Host, name string) ([]Fact, error) {
	counts, err := h.CountsHugetlb()
	if err != nil || !counts {
		return nil, err
	}
	above, err := libvirtd.CgroupsAbove(h, "")
	var facts []Fact
	for _, c := range above {
		for _, kind := range []string{"max", "high"} {
			file := path.Join(c.Dir, "memory."+kind)
			limit, limited, err := libvirtd.ReadLimit(h, file)
			if err != nil {
				return facts, err
			}
			if limited {
				facts = append(facts, off(hostprep.Note, name, fmt.Sprintf("%s is %s for all guests together, and this host counts huge pages as memory (cgroup2 is mounted with memory_hugetlb_accounting)", file, pages.Amount(limit)),
					"no limit, unless intended", fmt.Sprintf("echo max > %s, and for good: systemctl set-property %s Memory%s=infinity", file, path.Base(c.Dir), strings.ToUpper(kind[:1])+kind[1:])))
			}
		}
	}
	return facts, err
}

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
