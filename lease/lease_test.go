package lease

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

const uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f"

// fixtureHost is a host of one node with ten free pages of 2 MiB.
func fixtureHost(t *testing.T) host.Host {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"proc/sys/kernel/random/boot_id":         "11111111-2222-3333-4444-555555555555\n",
		fmt.Sprintf("proc/%d/stat", os.Getpid()): fmt.Sprintf("%d (test) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0\n", os.Getpid()),
		"sys/devices/system/node/online":         "0\n",
		"sys/devices/system/node/has_cpu":        "0\n",
		"sys/devices/system/node/node0/meminfo":  "Node 0 MemTotal: 1000000 kB\nNode 0 MemFree: 900000 kB\n",
	}
	for _, dir := range []string{"sys/kernel/mm/hugepages/hugepages-2048kB", "sys/devices/system/node/node0/hugepages/hugepages-2048kB"} {
		for name, count := range map[string]int{"nr_hugepages": 10, "free_hugepages": 10, "resv_hugepages": 0, "surplus_hugepages": 0, "nr_overcommit_hugepages": 0} {
			files[filepath.Join(dir, name)] = fmt.Sprintln(count)
		}
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return host.Host{Root: hostfs.Root(root)}
}

// A process may end between the look at its memory and the record of it: whoever
// finds that out, GiveBack tells that the pages went back.
func TestEndedBeforeTheRecord(t *testing.T) {
	for name, record := range map[string]func(l *Lease, book *ledger.Ledger) error{
		"in between":     func(_ *Lease, book *ledger.Ledger) error { book.Close(); return nil },
		"before Started": func(l *Lease, book *ledger.Ledger) error { book.Close(); return l.Started(context.Background()) },
		"while it begins": func(l *Lease, book *ledger.Ledger) error {
			l.Open = once(l.Open, book)
			return l.Started(context.Background())
		},
	} {
		t.Run(name, func(t *testing.T) {
			host := fixtureHost(t)
			l := newLease(host)
			book := grown(t, l)
			if err := record(l, book); err != nil {
				t.Fatal(err)
			}
			given, owed, err := l.GiveBack()
			if given != 4*pages.MiB || owed != 0 || err != nil {
				t.Errorf("%d given back, %d owed, %v", given, owed, err)
			}
		})
	}
}

// TestPoolSetMeanwhile has another program set the pool: the pages stay, and the user hears why.
func TestPoolSetMeanwhile(t *testing.T) {
	host := fixtureHost(t)
	l := newLease(host)
	var told []string
	l.Close = func(book *ledger.Ledger, _ string) { book.Close(); told = append(told, book.SetAside...) }
	grown(t, l).Close()
	for _, count := range []string{"nr_hugepages", "free_hugepages"} {
		if err := os.WriteFile(string(host.Root)+"/sys/devices/system/node/node0/hugepages/hugepages-2048kB/"+count, []byte("20\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	given, owed, err := l.GiveBack()
	if given != 0 || owed != 0 || err != nil || len(told) != 1 || !strings.Contains(told[0], "has set the pages of 2 MiB on node 0 from 12 to 20: 2 that vmhuge had added no longer count as its own") {
		t.Errorf("%d given back, %d owed, %v, told %q", given, owed, err, told)
	}
}

func newLease(host host.Host) *Lease {
	return &Lease{Host: host, Claim: ledger.Claim{UUID: uuid, Name: "qemu"},
		Open:     func(ctx context.Context) (*ledger.Ledger, error) { return ledger.Open(ctx, host.Root) },
		Close:    func(book *ledger.Ledger, _ string) { book.Close() },
		Progress: func(string) (func(string, int64, int64), func()) { return func(string, int64, int64) {}, func() {} }}
}

// grown opens the ledger and adds two pages to the ten for the lease.
func grown(t *testing.T, l *Lease) *ledger.Ledger {
	t.Helper()
	owner, err := process.Find(l.Host.Root, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	book, err := l.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Claim.Owner = owner
	if err := book.Begin(l.Claim); err != nil {
		t.Fatal(err)
	}
	if err := book.Grow(t.Context(), uuid, []pool.Need{{Size: pages.Size2MiB, Pages: 2}}, pool.Effort{}); err != nil {
		t.Fatal(err)
	}
	return book
}

// once makes the first call return a ledger that is open already.
func once(open func(context.Context) (*ledger.Ledger, error), book *ledger.Ledger) func(context.Context) (*ledger.Ledger, error) {
	return func(ctx context.Context) (*ledger.Ledger, error) {
		if first := book; first != nil {
			book = nil
			return first, nil
		}
		return open(ctx)
	}
}

// A new UUID is one of version 4, and another each time.
func TestNewUUID(t *testing.T) {
	a, b := NewUUID(), NewUUID()
	if a == b || len(a) != 36 || a[14] != '4' {
		t.Errorf("%s, %s", a, b)
	}
}
