package prepare

import (
	"errors"
	"fmt"
	"strconv"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

const shmGroupFile = "/proc/sys/vm/hugetlb_shm_group"

// shmGroupStep lets a group map huge pages with shmget(SHM_HUGETLB). QEMU and libvirt do
// not use that; databases do.
var shmGroupStep = Step{"shm-group", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	if p.ShmGroup == "" {
		return nil, nil
	}
	group, err := h.Group(p.ShmGroup)
	if errors.Is(err, host.ErrNoGroup) {
		return nil, nil // unknownNames tells
	}
	if err != nil {
		return nil, err
	}
	now, err := change.Look(h, change.KindSysfs, shmGroupFile)
	gid := strconv.Itoa(group.Id)
	if err != nil || now == gid {
		return nil, err
	}
	f := hostprep.Finding{
		Severity: hostprep.Warning,
		Have:     fmt.Sprintf("vm.hugetlb_shm_group is %s, not the group %s", pages.OrNothing(now), group.Name),
		Need:     gid,
		Do:       "a kernel with CONFIG_HUGETLBFS",
	}
	if now != "" {
		f.Fix(change.Change{Kind: change.KindSysfs, Path: shmGroupFile, From: now, To: gid, EachBoot: p.Persist})
	}
	return []hostprep.Finding{f}, nil
}}
