package hostpage

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// SizeFindings says what keeps a guest whose memory is a file on pages of that size from
// starting on this host: the kernel has none of them, or no hugetlbfs of the size is mounted.
func SizeFindings(h host.Host, size pages.Size) ([]hostprep.Finding, error) {
	h = h.Snapshot()
	g := newGuest(size, hostprep.SystemStarter(debian12.Version, debian12.QEMU))
	for _, c := range []check.Check{check.PageSize, check.Mount} {
		findings, err := c.Detect(h, g)
		for i := range findings {
			findings[i].Check = c.Name
		}
		if err != nil || len(findings) > 0 {
			return findings, err
		}
	}
	return nil, nil
}
