package check

import (
	"cmp"
	"errors"
	"fmt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
)

// QEMUConf finds what qemu.conf makes of a domain that names no page size,
// against what one would think: of several entries of hugetlbfs_mount, the
// second is the default.
var QEMUConf = Check{"qemu-conf", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if !g.Demand.DefaultSize || len(g.Demand.Items) == 0 {
		return nil, nil
	}
	conf, err := libvirtd.ReadQEMUConf(h, g.Conf)
	if err != nil || len(conf.HugetlbfsMounts) < 2 {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	size, err := libvirtd.DefaultPageSize(h, g.Conf)
	if err != nil || size == mem.HugePageSize {
		return nil, err
	}
	return []hostprep.Finding{{
		Severity: hostprep.Note, Cause: hostprep.SmallerThanPage,
		Have: fmt.Sprintf("the domain names no page size, so libvirt uses that of the second hugetlbfs_mount in %s, %s", cmp.Or(g.Conf, libvirtd.QEMUConfPath(h)), size),
		Need: "a <page> with the intended size",
		Do:   enable(g, mem.HugePageSize),
	}}, nil
}}

// CouldNotTell is the finding of a check that failed. Where qemu.conf is at fault, libvirt
// refuses it as well: a daemon that runs has read what was there before, and none starts.
func CouldNotTell(h host.Host, g hostprep.Guest, err error) hostprep.Finding {
	f, told := hostprep.CouldNotTell(err), (*advice.Error)(nil)
	if !errors.Is(err, libvirtd.ErrConf) || !errors.As(err, &told) {
		return f
	}
	daemon, err := libvirtd.ReadDaemon(h)
	if err != nil {
		return f
	}
	f.Check, f.Cause, f.Have, f.Need = QEMUConf.Name, hostprep.ConfRefused, told.What+": "+told.Why, "a file that libvirt can read"
	if daemon == nil && g.System() {
		f.Severity, f.Verdict = hostprep.Blocker, hostprep.BadHost
	}
	return f
}

// RefusesConf says whether a finding is of a qemu.conf that libvirt refuses, which is said once.
func RefusesConf(f hostprep.Finding) bool { return f.Cause == hostprep.ConfRefused }
