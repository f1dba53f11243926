package prepare

import (
	"strings"
	"testing"

	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// The pages that --pages asks for stay until undo: those that were added for a guest leave
// with it, and do not count.
func TestPrepareBesideAGuest(t *testing.T) {
	h, had := unusedPool(t, booted)
	ledger := openLedger(t, h)
	defer ledger.Close()
	growFor(t, ledger, web1.Demand.UUID, 16)
	p := Options{Pages: []pool.Need{{Size: pages.Size2MiB, Pages: had + 10}}}
	would, err := Would(h, p)
	hosttest.Must(t, err)
	if n := len(would.Findings); n != 1 || !strings.HasSuffix(would.Findings[0].Have, "with their guests, lacks 10 pages of 2 MiB") {
		t.Errorf("a dry run says %+v", would.Findings)
	}
	_, findings, err := holdPrepared(t.Context(), h, ledger, p, pool.Effort{})
	if err != nil || len(findings) > 0 {
		t.Errorf("%v, %v", err, findings)
	}
	if would, err := Would(h, p); err != nil || len(would.Findings) > 0 {
		t.Errorf("and a second time: %v, %+v", err, would.Findings)
	}
	release(t, h, ledger, web1.Demand.UUID)
	if n := persistentPages(t, h); n != had+10 {
		t.Errorf("the guest leaves %d pages, not %d", n, had+10)
	}
	release(t, h, ledger, pool.PreparedUUID)
	if n := persistentPages(t, h); n != had {
		t.Errorf("undo leaves %d pages, not %d", n, had)
	}
}
