package hostpage

import (
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// CauseFindings says which of the causes that the host alone can tell are there now, of those
// that the named checks look for, and which of these checks could tell. size is that of the
// pages that it is about; 0: not known, and the checks of pages and mounts can't tell.
func CauseFindings(h host.Host, size pages.Size, names []string) (findings []hostprep.Finding, told []string, err error) {
	h = h.Snapshot()
	g := newGuest(size, hostprep.SystemStarter(debian12.Version, debian12.QEMU))
	for _, c := range []check.Check{check.PageSize, check.Mount, check.KVM, check.KVMPages, check.QEMUConf} {
		ofPages := c.Name == check.PageSize.Name || c.Name == check.Mount.Name
		// A size that the kernel lacks is why no mount has it.
		lacksSize := c.Name == check.Mount.Name && len(findings) > 0
		if !slices.Contains(names, c.Name) || ofPages && size == 0 || lacksSize {
			continue
		}
		found, failed := c.Detect(h, g)
		if failed != nil {
			if !isNoAccount(failed) { // no libvirt's QEMU here
				err = failed
			}
			continue
		}
		told = append(told, c.Name)
		for _, f := range found {
			f.Check = c.Name
			findings = append(findings, f)
		}
	}
	return findings, told, err
}
