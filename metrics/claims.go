package metrics

import (
	"slices"
	"strconv"

	"vmhuge/hostprep/ledger"
	"vmhuge/internal/pages"
)

var (
	claimCount = newDesc("claims", "Claims on pages in the ledger, by phase.", "phase")
	claimPages = newDesc("claim_pages", "Pages that were added to a pool for a guest; owed: it has stopped, and they are not freed yet; prepared: they stay; kept: they stay for it while it does not run.",
		"guest", "phase", "node", "page_size_bytes")
	reservedPages = newDesc("reservation_pages", "Pages that are reserved for a program, so that no guest may take them; no nodes: on any node.", "program", "nodes", "page_size_bytes")
)

func showClaims(o out, claims []ledger.Claim, err error) {
	if err != nil {
		return
	}
	count := map[ledger.Phase]int{ledger.Starting: 0, ledger.InUse: 0, ledger.Owed: 0, ledger.Prepared: 0, ledger.Reserved: 0, ledger.Kept: 0}
	held := map[[4]string]int64{} // a name may have come to be another guest's
	for _, c := range claims {
		count[c.Phase]++
		if c.Phase == ledger.Reserved {
			for _, take := range c.Takes {
				o.gauge(reservedPages, float64(take.Pages), c.Name, pages.FormatNodes(take.Nodes), sizeLabel(take.Size))
			}
		}
		if c.Phase == ledger.Owed {
			c.Armed = nil // it went with QEMU
		}
		for _, g := range slices.Concat(c.Grants, c.Armed) {
			held[[4]string{c.Name, string(c.Phase), strconv.Itoa(g.Node), sizeLabel(g.Size)}] += g.Pages
		}
	}
	for phase, n := range count {
		o.gauge(claimCount, float64(n), string(phase))
	}
	for labels, n := range held {
		o.gauge(claimPages, float64(n), labels[:]...)
	}
}
