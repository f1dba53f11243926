package ledger

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// What is prepared outlives every Open, whoever ran and ended meanwhile, and
// goes back when it is asked for: only what is free, the rest when it is.
func TestPrepared(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Prepare(t.Context(), []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	must(t, l.Prepare(t.Context(), nil, pool.Effort{}))
	must(t, l.Adopt([]pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 5}}))
	l.Close()

	want := []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 20, Without: nil, Surplus: 0}, {Node: 0, Size: pages.Size2MiB, Pages: 5, Without: nil, Surplus: 0}}
	l = open(t, root)
	if diff := cmp.Diff(want, l.Prepared()); diff != "" || len(l.Settled) > 0 || nr(t, root, 0, 2048) != 120 {
		t.Errorf("%d pages, settled %v: %s", nr(t, root, 0, 2048), l.Settled, diff)
	}
	if diff := cmp.Diff([]string{PreparedUUID + ".prepared"}, files(t, root)); diff != "" {
		t.Error(diff)
	}
	if p := l.Pending(""); len(p) > 0 {
		t.Errorf("nobody starts, and %v is pending", p)
	}
	given, owed, err := l.Release(PreparedUUID)
	if err != nil || given != 50*pages.MiB || owed != 0 || nr(t, root, 0, 2048) != 95 || len(files(t, root)) > 0 {
		t.Errorf("%v: %d given, %d owed, %d pages, %v", err, given, owed, nr(t, root, 0, 2048), files(t, root))
	}
}

// A guest has taken what was prepared: it is owed, and may be prepared again.
func TestPreparedInUse(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Adopt([]pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 80}})) // 60 are free
	given, owed, err := l.Release(PreparedUUID)
	if err != nil || given != 120*pages.MiB || owed != 40*pages.MiB {
		t.Errorf("%v: %d given, %d owed", err, given, owed)
	}
	must(t, l.Adopt([]pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 1}}))
	if diff := cmp.Diff([]pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 20, Without: nil, Surplus: 0}, {Node: 0, Size: pages.Size2MiB, Pages: 1, Without: nil, Surplus: 0}}, l.Prepared()); diff != "" {
		t.Error(diff)
	}
}

// What could not be had leaves no claim.
func TestPreparedShort(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	err := l.Prepare(t.Context(), []pool.Need{{Nodes: []int{7}, Size: pages.Size2MiB, Pages: 20}}, pool.Effort{})
	if err == nil || len(files(t, root)) > 0 || l.Prepared() != nil {
		t.Errorf("%v, %v", err, files(t, root))
	}
}
