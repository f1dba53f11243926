package prepare

import (
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

// unusedPool is a host on which all pages are free, and how many there are.
func unusedPool(t *testing.T, edits string) (host.Host, int64) {
	t.Helper()
	h := host.Host{Root: hosttest.Unpack(t, "one-node", edits)}
	setFree(t, h)
	return h, persistentPages(t, h)
}

// setFree frees all pages of the fixture's pool, as the kernel does when guests end.
func setFree(t *testing.T, h host.Host) {
	t.Helper()
	n := persistentPages(t, h)
	for _, dir := range []string{"sys/kernel/mm/hugepages/hugepages-2048kB", "sys/devices/system/node/node0/hugepages/hugepages-2048kB"} {
		hosttest.Must(t, h.Root.WriteInt(n, dir, "nr_hugepages"))
		hosttest.Must(t, h.Root.WriteInt(n, dir, "free_hugepages"))
		hosttest.Must(t, h.Root.WriteInt(0, dir, "surplus_hugepages"))
	}
	hosttest.Must(t, h.Root.WriteInt(0, "sys/kernel/mm/hugepages/hugepages-2048kB", "resv_hugepages"))
}

func persistentPages(t *testing.T, h host.Host) int64 {
	t.Helper()
	state, err := pool.Read(h.Root)
	hosttest.Must(t, err)
	return state.Persistent(pages.Size2MiB)
}

func openLedger(t *testing.T, h host.Host) *ledger.Ledger {
	t.Helper()
	book, err := ledger.Open(t.Context(), h.Root)
	hosttest.Must(t, err)
	return book
}

// growFor adds pages for a guest that starts.
func growFor(t *testing.T, book *ledger.Ledger, uuid string, n int64) {
	t.Helper()
	hosttest.Must(t, book.Begin(ledger.Claim{UUID: uuid, Owner: process.Process{PID: 1}, Takes: []pool.Take{}}))
	hosttest.Must(t, book.Grow(t.Context(), uuid, []pool.Need{{Size: pages.Size2MiB, Pages: n}}, pool.Effort{}))
}

// release ends claims whose pages are free.
func release(t *testing.T, h host.Host, book *ledger.Ledger, uuids ...string) {
	t.Helper()
	for _, uuid := range uuids {
		setFree(t, h)
		_, _, err := book.Release(uuid)
		hosttest.Must(t, err)
	}
}

func persist(t *testing.T, h host.Host, n int64) {
	t.Helper()
	findings, _ := Plan(h, Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: n}}})
	for _, f := range findings {
		hosttest.Must(t, journal.Journal{Host: h}.Apply(f.Changes))
	}
}
