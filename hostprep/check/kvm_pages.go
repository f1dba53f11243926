package check

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// KVMPages asks whether KVM takes a guest on huge pages: on s390x only if its module was
// loaded so.
var KVMPages = Check{"kvm-pages", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if g.Demand.Type != "kvm" {
		return nil, nil
	}
	kvm, err := h.KVMHPage()
	if err != nil {
		return nil, err
	}
	for _, total := range g.Demand.Totals() {
		why := kvm.Refuses(total.PageSize)
		if why == "" || total.PageSize == 0 {
			continue
		}
		f := hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Cause: hostprep.KVMHPage, Have: why}
		if total.PageSize != pages.Size(pages.MiB) {
			f.Need, f.Do = "pages of 1 MiB", enable(g, pages.Size(pages.MiB))
			return []hostprep.Finding{f}, nil
		}
		f.Need, f.Do = "kvm with hpage=1, for guests on huge pages", "echo 'options kvm hpage=1' > /etc/modprobe.d/kvm-hpage.conf, stop the guests and reload kvm"
		if kvm.Nested {
			f.Have += " and with nested=1, which before Linux 7.0 excludes that"
			f.Do = "echo 'options kvm hpage=1 nested=0' > /etc/modprobe.d/kvm-hpage.conf, remove nested=1 where it is set, stop the guests and reload kvm"
		}
		return []hostprep.Finding{f}, nil
	}
	return nil, nil
}}
