package launcher

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

// A guest that ends between its start and the record of it: its pages are freed, and
// the user is told.
func TestSettledGone(t *testing.T) {
	root := hosttest.Unpack(t, "one-node", fmt.Sprintf("-- proc/%[1]d/stat --\n%[1]d (test) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0\n", os.Getpid()))
	owner, err := process.Find(root, os.Getpid())
	must(t, err)
	l := &Launcher{host: host.Host{Root: root}}
	book, err := ledger.Open(t.Context(), root)
	must(t, err)
	must(t, book.Begin(ledger.Claim{UUID: uuid1, Name: "web1", Owner: owner, Takes: []pool.Take{{Size: pages.Size2MiB, Pages: 8}}}))
	must(t, book.Grow(t.Context(), uuid1, []pool.Need{{Size: pages.Size2MiB, Pages: 8}}, pool.Effort{}))
	book.Close()
	must(t, l.settled(t.Context(), uuid1))
	want := []string{ledger.Settlement{UUID: uuid1, Name: "web1", Given: 16 * pages.MiB}.String()}
	if !slices.Equal(l.Notices, want) {
		t.Errorf("told %q; want %q", l.Notices, want)
	}
}
