package prepare

import (
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// The pages that --pages asks for stay until undo: those that were added for a guest leave
// with it, and do not count.
func TestPrepareBesideAGuest(t *testing.T) {
	h, had := unusedPool(t, booted)
	book := openLedger(t, h)
	defer book.Close()
	growFor(t, book, web1.Demand.UUID, 16)
	p := Options{Pages: []pool.Need{{Size: pages.Size2MiB, Pages: had + 10}}}
	would, err := Would(h, p)
	hosttest.Must(t, err)
	if n := len(would.Findings); n != 1 || !strings.HasSuffix(would.Findings[0].Have, "with their guests, lacks 10 pages of 2 MiB") {
		t.Errorf("a dry run says %+v", would.Findings)
	}
	_, findings, err := holdPrepared(t.Context(), h, book, p, pool.Effort{})
	if err != nil || len(findings) > 0 {
		t.Errorf("%v, %v", err, findings)
	}
	if would, err := Would(h, p); err != nil || slices.ContainsFunc(would.Findings, func(f hostprep.Finding) bool { return f.Severity != hostprep.Note }) {
		t.Errorf("and a second time: %v, %+v", err, would.Findings)
	}
	release(t, h, book, web1.Demand.UUID)
	if n := persistentPages(t, h); n != had+10 {
		t.Errorf("the guest leaves %d pages, not %d", n, had+10)
	}
	release(t, h, book, ledger.PreparedUUID)
	if n := persistentPages(t, h); n != had {
		t.Errorf("undo leaves %d pages, not %d", n, had)
	}
}

// TestPrepareAfterUndo: undo has left prepared pages to the guests that use them. Asked for
// again, as many stay when these end.
func TestPrepareAfterUndo(t *testing.T) {
	for name, test := range map[string]struct{ ask, want int64 }{
		"as many": {20, 20}, "fewer": {12, 20}, "more": {31, 31}, "none": {0, 0},
	} {
		h, had := unusedPool(t, booted)
		book := openLedger(t, h)
		p := Options{Pages: []pool.Need{{Size: pages.Size2MiB, Pages: had + 20}}}
		_, _, err := holdPrepared(t.Context(), h, book, p, pool.Effort{})
		hosttest.Must(t, err)
		for _, dir := range []string{"sys/kernel/mm/hugepages/hugepages-2048kB", "sys/devices/system/node/node0/hugepages/hugepages-2048kB"} {
			hosttest.Must(t, h.Root.WriteInt(0, dir, "free_hugepages"))
		}
		if given, owed, err := book.Release(ledger.PreparedUUID); given != 0 || owed != 20*int64(pages.Size2MiB) {
			t.Fatalf("%s: %d given, %d owed, %v", name, given, owed, err)
		}
		book.Close()

		p.Pages[0].Pages = had + test.ask
		state, err := h.Pools()
		hosttest.Must(t, err)
		lacks, err := p.lacks(h, state)
		hosttest.Must(t, err)
		if (len(lacks) > 0) != (test.ask > 0) {
			t.Errorf("%s: it lacks %+v", name, lacks)
		}
		if book = openLedger(t, h); len(lacks) > 0 {
			_, findings, err := holdPrepared(t.Context(), h, book, p, pool.Effort{})
			if err != nil || len(findings) > 0 {
				t.Errorf("%s: %v, %v", name, findings, err)
			}
		}
		book.Close()
		setFree(t, h)
		openLedger(t, h).Close()
		if n := persistentPages(t, h); n != had+test.want {
			t.Errorf("%s: %d pages stay, not %d", name, n-had, test.want)
		}
	}
}

// A guest lacks its pages where all that are free are promised to other programs.
func TestLacksWhereAllIsPromised(t *testing.T) {
	for reserved, want := range map[string]int64{"0": 0, "1184": 0, "1190": 6, "1200": 16} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- pools --\nall 2048 2048 1200 "+reserved+" 0 0\n0 2048 2048 1200 0\nall 1048576 0 0 0 0 0\n0 1048576 0 0 0\n")}
		state, err := h.Pools()
		hosttest.Must(t, err)
		lacks, err := Options{Guests: []hostprep.Guest{web1}}.lacks(h, state)
		hosttest.Must(t, err)
		var n int64
		for _, l := range lacks {
			n += l.Pages
		}
		if n != want {
			t.Errorf("%s promised: lacks %d, not %d", reserved, n, want)
		}
	}
}
