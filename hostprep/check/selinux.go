package check

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/selinux"
	"vmhuge/internal/versions"
)

// SELinux asks the kernel whether the policy lets libvirt label the guest's folder on each
// hugetlbfs, and QEMU map its pages. Debian's policy allows neither.
var SELinux = Check{"selinux", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if !g.System() || len(g.Demand.Items) == 0 || g.Demand.Context == "none" {
		return nil, nil
	}
	if enforcing, err := selinux.Enforcing(h); err != nil || !enforcing {
		return nil, err
	}
	d, err := Driver(h, g)
	if err != nil || d.Conf.SecurityDrivers != nil && !slices.Contains(d.Conf.SecurityDrivers, "selinux") {
		return nil, err
	}
	contexts, err := selinux.ReadGuest(h, g.Demand.Type == "qemu")
	if err != nil || contexts.Process == "" {
		return nil, err
	}
	contexts.Process = cmp.Or(g.Demand.Context, contexts.Process)
	daemon, err := libvirtd.Context(h)
	if err != nil || daemon == "" {
		return nil, err
	}
	onFile := len(hostprep.FileSizes(g)) > 0 || versions.MemfdAlone.LackedBy(g.Libvirt, g.QEMU)
	for _, m := range d.Known {
		folder, err := folderContext(h, path.Join(m.Point, g.BaseDir), m.Point)
		if err != nil || folder == "" {
			return nil, err
		}
		denied, err := selinux.HugePages(h, daemon, contexts, folder, onFile)
		if err != nil {
			return nil, err
		}
		if denied != nil {
			return []hostprep.Finding{deniedPages(h, *denied, m.Point)}, nil
		}
	}
	return nil, nil
}}

// folderContext is the context of a folder, or of the nearest above it, up to the mount's root.
func folderContext(h host.Host, folder, root string) (string, error) {
	for {
		context, err := selinux.File(h, folder)
		if err != nil || context != "" || folder == root {
			return context, err
		}
		folder = path.Dir(folder)
	}
}

func deniedPages(h host.Host, denied selinux.Denial, mount string) hostprep.Finding {
	f := hostprep.Finding{
		Severity: hostprep.Blocker, Verdict: hostprep.NoAccess, Cause: hostprep.SecurityModule,
		Have: fmt.Sprintf("%s (%s): QEMU could not map the guest's pages", denied, mount),
		Need: "a policy that allows it",
		Do:   "update the policy (selinux-policy), or allow it with a module of your own",
	}
	if denied.Class == "dir" {
		f.Have = fmt.Sprintf("%s (%s): libvirt could not make the guest's folder there", denied, mount)
	}
	if denied.OfGuests() {
		f.Do = selinux.LoadModule(h)
	}
	return f
}
