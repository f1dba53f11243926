package hostprep

import (
	"errors"
	"fmt"
	"strconv"
)

const shmGroupFile = "/proc/sys/vm/hugetlb_shm_group"

// shmGroupStep lets a group map huge pages by shmget(SHM_HUGETLB). Neither QEMU
// nor libvirt does: it is for whoever asks for it.
var shmGroupStep = Step{"shm-group", func(h Host, p Preparation) ([]Finding, error) {
	if p.ShmGroup == "" {
		return nil, nil
	}
	group, err := h.group(p.ShmGroup)
	if errors.Is(err, errNoGroup) {
		return []Finding{{Severity: Blocker, Verdict: BadHost, Have: "there is no group " + p.ShmGroup,
			Need: "a group for --shm-group", Do: "groupadd --system " + p.ShmGroup + ", or name another"}}, nil
	}
	if err != nil {
		return nil, err
	}
	now, err := h.look(KindSysfs, shmGroupFile)
	gid := strconv.Itoa(group.id)
	if err != nil || now == gid {
		return nil, err
	}
	f := Finding{
		Severity: Warning,
		Have:     fmt.Sprintf("vm.hugetlb_shm_group is %s, not the group %s", orNothing(now), group.name),
		Need:     gid,
		Do:       "a kernel with CONFIG_HUGETLBFS",
	}
	if now != "" {
		f.mend(Change{Kind: KindSysfs, Path: shmGroupFile, From: now, To: gid, EachBoot: p.Persist})
	}
	return []Finding{f}, nil
}}
