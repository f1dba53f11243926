package ledger

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// TestRewritten has another program set the pool while a guest of 20 more pages starts:
// of what it asks for no page may go when the guest does.
func TestRewritten(t *testing.T) {
	const sysctl10 = "-- proc/meminfo --\nHugepagesize:       2048 kB\n-- etc/sysctl.d/20-db.conf --\n# of the database\nvm.nr_hugepages = 110\n"
	for name, test := range map[string]struct {
		edit  string
		write int // 100 are other people's, and vmhuge's make it 120
		want  int64
		says  string
	}{
		"nobody":                      {write: 120, want: 100},
		"somebody takes all away":     {write: 0, want: 0, says: "a program other than vmhuge has set the pages of 2 MiB on node 0 from 120 to 0: 20 that"},
		"somebody sets what was":      {write: 100, want: 100, says: "from 120 to 100: 20 that"},
		"somebody sets less":          {write: 70, want: 70, says: "from 120 to 70: 20 that"},
		"somebody sets a bit more":    {write: 110, want: 110, says: "from 120 to 110: 20 that"},
		"somebody adds":               {edit: sysctl10, write: 130, want: 130, says: "a program other than vmhuge has set the pages of 2 MiB on node 0 from 120 to 130: 20 that"},
		"sysctl takes some":           {edit: sysctl10, write: 110, want: 110, says: "sysctl, as /etc/sysctl.d/20-db.conf asks, has set the pages of 2 MiB on node 0 from 120 to 110: 20 that"},
		"sysctl adds":                 {edit: strings.ReplaceAll(sysctl10, "110", "130"), write: 130, want: 130, says: "from 120 to 130: 20 that"},
		"sysctl's file is overridden": {edit: sysctl10 + "-- etc/sysctl.conf --\nvm/nr_hugepages=7\n", write: 110, want: 110, says: "a program other than vmhuge"},
		"systemd does not read that":  {edit: sysctl10 + "-- etc/sysctl.conf --\nvm/nr_hugepages=7\n-- run/systemd/system/x --\nx\n", write: 110, want: 110, says: "sysctl, as /etc/sysctl.d/20-db.conf asks"},
		"sysctl --system does":        {edit: sysctl10 + "-- etc/sysctl.conf --\nvm/nr_hugepages=7\n-- run/systemd/system/x --\nx\n", write: 7, want: 7, says: "sysctl, as /etc/sysctl.conf asks"},
		"sysctl's is of another size": {edit: strings.Replace(sysctl10, "2048 kB", "1048576 kB", 1), write: 110, want: 110, says: "a program other than vmhuge"},
		"sysctl, in hexadecimal":      {edit: strings.Replace(sysctl10, "110", "0x6e", 1), write: 110, want: 110, says: "sysctl, as /etc/sysctl.d/20-db.conf asks, has set the pages of 2 MiB on node 0 from 120 to 110: 20 that"},
		"vmhuge prepare's own number": {edit: strings.Replace(sysctl10, "20-db", "99-vmhuge", 1), write: 110, want: 110, says: "/etc/sysctl.d/99-vmhuge.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, oneNode, us(), test.edit)
			l := open(t, root)
			must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(30)}))
			must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
			l.Close()
			set(t, root, test.write)
			l = open(t, root)
			if said := strings.Join(l.SetAside, "\n"); !strings.Contains(said, test.says) || test.says == "" && said != "" {
				t.Errorf("it says %q", said)
			}
			l.Close()
			if l = open(t, root); len(l.SetAside) > 0 {
				t.Errorf("again: %q", l.SetAside)
			}
			c, err := l.read(l.claims[0])
			must(t, err)
			_, _, err = l.Release(web1)
			must(t, err)
			l.Close()
			if n := nr(t, root, 0, 2048); n != test.want {
				t.Errorf("%d pages are left, not %d; the claim had %+v", n, test.want, c.Grants)
			}
			if _, err := os.Stat(root.Path(countsFile...)); err == nil {
				t.Error("the counts outlive the claims")
			}
		})
	}
}

// TestRewrittenBesidePrepared: the number in vmhuge's own file for sysctl has the pages
// that were prepared.
func TestRewrittenBesidePrepared(t *testing.T) {
	root := fixture(t, oneNode, us(), "-- proc/meminfo --\nHugepagesize:       2048 kB\n-- etc/sysctl.d/99-vmhuge.conf --\nvm.nr_hugepages = 108\n")
	l := open(t, root)
	must(t, l.Prepare(t.Context(), []pool.Need{{Size: pages.Size2MiB, Pages: 8}}, pool.Effort{}))
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(30)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	l.Close()
	set(t, root, 108)
	l = open(t, root)
	for _, uuid := range []string{web1, PreparedUUID} {
		_, _, err := l.Release(uuid)
		must(t, err)
		if want := map[string]int64{web1: 108, PreparedUUID: 100}[uuid]; nr(t, root, 0, 2048) != want {
			t.Errorf("%s: %d pages are left, not %d", uuid, nr(t, root, 0, 2048), want)
		}
	}
}

// TestRewrittenAfterKill has vmhuge killed before it closes the ledger, and then perhaps
// another program set the pool. What is on record of the pool holds all the same.
func TestRewrittenAfterKill(t *testing.T) {
	for name, test := range map[string]struct {
		grants string // on record, of a guest that will never run
		pool   int    // 0: as it was left
		want   int64
	}{
		"nobody":                      {want: 100},
		"the pool was set":            {pool: 110, want: 110},
		"to what was":                 {pool: 100, want: 100},
		"in a change":                 {grants: `{"node":0,"page_size_kib":2048,"pages":20,"without":100}`, pool: 113, want: 100},
		"the pool was set in one":     {grants: `{"node":0,"page_size_kib":2048,"pages":20,"without":100}`, pool: 121, want: 121},
		"and to less than there was":  {grants: `{"node":0,"page_size_kib":2048,"pages":20,"without":100}`, pool: 99, want: 99},
		"in one after another":        {grants: `{"node":0,"page_size_kib":2048,"pages":5},{"node":0,"page_size_kib":2048,"pages":15,"without":105}`, pool: 110, want: 100},
		"and the pool was set in one": {grants: `{"node":0,"page_size_kib":2048,"pages":5},{"node":0,"page_size_kib":2048,"pages":15,"without":105}`, pool: 104, want: 104},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, oneNode, us())
			l := open(t, root)
			must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: process.Process{PID: 600, Start: 5}, Takes: takes(30)}))
			must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
			must(t, l.lock.Close())
			if test.grants != "" {
				write(t, l.path(web1+".starting"), dead(test.grants))
			}
			if test.pool != 0 {
				set(t, root, test.pool)
			}
			open(t, root).Close()
			if n := nr(t, root, 0, 2048); n != test.want {
				t.Errorf("%d pages are left, not %d", n, test.want)
			}
		})
	}
}

// TestSetAsideThenKilled has the claim of another guest set aside, and vmhuge killed before it
// closes the ledger. That guest's 20 pages stay in the pool, and web1's are still its own.
func TestSetAsideThenKilled(t *testing.T) {
	for name, spoil := range map[string]func(l *Ledger){
		"cut short": func(l *Ledger) { write(t, l.path(db1+".starting"), "{") },
		"twice":     func(l *Ledger) { write(t, l.path(db1+".owed"), strings.ReplaceAll(dead(""), web1, db1)) },
	} {
		root := fixture(t, oneNode, us())
		l := open(t, root)
		for _, uuid := range []string{web1, db1} {
			must(t, l.Begin(Claim{UUID: uuid, Name: "x", Owner: owner(), Takes: takes(40)}))
			must(t, l.Grow(t.Context(), uuid, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
		}
		l.Close()
		spoil(l)
		l = open(t, root)
		if len(l.SetAside) != 1 {
			t.Errorf("%s: set aside %q", name, l.SetAside)
		}
		must(t, l.Begin(Claim{UUID: web1, Name: "x", Owner: owner(), Takes: takes(40)})) // it writes the grants
		must(t, l.lock.Close())
		set(t, root, 140)
		l = open(t, root)
		_, _, err := l.Release(web1)
		must(t, err)
		if n := nr(t, root, 0, 2048); n != 120 {
			t.Errorf("%s: %d pages are left, not 120; %q", name, n, l.SetAside)
		}
		l.Close()
	}
}

// TestRewrittenOpen has the pool set while the ledger is open.
func TestRewrittenOpen(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(30)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	set(t, root, 130)
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 7}}, pool.Effort{})) // these are vmhuge's
	l.Close()
	l = open(t, root)
	if given, owed, err := l.Release(web1); err != nil || given != 14*pages.MiB || owed != 0 || nr(t, root, 0, 2048) != 130 {
		t.Errorf("%v: %d MiB given, %d owed, %d pages", err, given/pages.MiB, owed, nr(t, root, 0, 2048))
	}
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(30)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	set(t, root, 110)
	if given, owed, err := l.Release(web1); err != nil || given != 0 || owed != 0 || nr(t, root, 0, 2048) != 110 {
		t.Errorf("%v: %d MiB given, %d owed, %d pages", err, given/pages.MiB, owed, nr(t, root, 0, 2048))
	}
}

// TestRewrittenInAChange has another program set node 0's pool while vmhuge changes node 1's,
// before it comes to node 0.
func TestRewrittenInAChange(t *testing.T) {
	both := []pool.Need{{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 20}, {Nodes: []int{0}, Size: pages.Size2MiB, Pages: 20}}
	root := fixture(t, twoNodesAlike, us())
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: []pool.Take{}}))
	must(t, l.Grow(t.Context(), web1, both, pool.Effort{}))
	must(t, l.Begin(Claim{UUID: db1, Name: "db1", Owner: owner(), Takes: []pool.Take{}}))
	setOnce := sync.OnceFunc(func() { setNode(t, root, 0, 25, 25) })
	must(t, l.Grow(t.Context(), db1, both, pool.Effort{Progress: func(string, int64, int64) { setOnce() }}))
	l.Close()
	if n, m := nr(t, root, 0, 2048), nr(t, root, 1, 2048); n != 45 || m != 70 {
		t.Errorf("with 20 more on each: %d and %d pages, not 45 and 70", n, m)
	}

	setNode(t, root, 0, 45, 45)
	setNode(t, root, 1, 70, 70)
	l = open(t, root)
	i := l.index(db1)
	c, err := l.load(i)
	must(t, err)
	setOnce = sync.OnceFunc(func() { setNode(t, root, 0, 35, 35) })
	kept, _, err := pool.Release(root, c.Grants, nil, func(grants []pool.Grant) error {
		setOnce()
		c.Grants = grants
		return l.saveChange(i, c)
	})
	must(t, err)
	if n, m := nr(t, root, 0, 2048), nr(t, root, 1, 2048); n != 35 || m != 50 {
		t.Errorf("after the release: %d and %d pages, not 35 and 50; it has kept %+v", n, m, kept)
	}
	l.Close()
	l = open(t, root)
	for _, uuid := range []string{web1, db1} {
		_, _, err := l.Release(uuid)
		must(t, err)
	}
	if n, m := nr(t, root, 0, 2048), nr(t, root, 1, 2048); n != 35 || m != 30 {
		t.Errorf("at the end: %d and %d pages, not 35 and 30", n, m)
	}
}

// TestRewrittenNode: a number for one node says nothing of another; sysctl's is for all.
func TestRewrittenNode(t *testing.T) {
	for _, sysctl := range []bool{false, true} {
		root := fixture(t, strings.Replace(twoNodes, "0 2048 10 6 4", "0 2048 10 6 0", 1), us(), "-- proc/meminfo --\nHugepagesize:       2048 kB\n")
		l := open(t, root)
		must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(30)}))
		must(t, l.Grow(t.Context(), web1, []pool.Need{{Nodes: []int{0}, Size: pages.Size2MiB, Pages: 3}, {Nodes: []int{1}, Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
		l.Close()
		set(t, root, 12)
		want := int64(30)
		if sysctl {
			want = 50
			write(t, root.Path("etc/sysctl.d/20-db.conf"), "vm.nr_hugepages = 62\n")
		}
		l = open(t, root)
		must(t, root.WriteInt(40, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"))
		must(t, root.WriteInt(40, "sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages"))
		_, _, err := l.Release(web1)
		must(t, err)
		if nr(t, root, 0, 2048) != 12 || nr(t, root, 1, 2048) != want {
			t.Errorf("sysctl %v: %d pages on node 0, %d on node 1, not 12 and %d", sysctl, nr(t, root, 0, 2048), nr(t, root, 1, 2048), want)
		}
	}
}

// set is what another program does.
func set(t *testing.T, root hostfs.Root, n int) {
	t.Helper()
	dir := []string{"sys/devices/system/node/node0/hugepages/hugepages-2048kB"}
	must(t, root.WriteInt(int64(n), append(dir, "nr_hugepages")...))
	must(t, root.WriteInt(int64(max(0, n-40)), append(dir, "free_hugepages")...))
	for _, name := range []string{"nr_hugepages", "free_hugepages"} {
		v, err := root.ReadInt(append(dir, name)...)
		must(t, err)
		must(t, root.WriteInt(v, "sys/kernel/mm/hugepages/hugepages-2048kB", name))
	}
}

// twoNodesAlike have memory enough, and pages of 2 MiB alone.
const twoNodesAlike = `
-- sys/devices/system/node/node0/meminfo --
Node 0 MemTotal:       24684100 kB
Node 0 MemFree:        23000512 kB
-- sys/devices/system/node/node1/meminfo --
Node 1 MemTotal:       24684100 kB
Node 1 MemFree:        23000512 kB
-- pools --
all 2048 40 40 0 0 0
0 2048 10 10 0
1 2048 30 30 0
-- proc/meminfo --
Hugepagesize:       2048 kB
-- proc/sys/kernel/random/boot_id --
` + bootID1 + "\n"

// setNode gives a node's pool of 2 MiB pages, and the sum over both nodes with it.
func setNode(t *testing.T, root hostfs.Root, node int, total, free int64) {
	t.Helper()
	for name, n := range map[string]int64{"nr_hugepages": total, "free_hugepages": free} {
		at := func(node int) []string {
			return []string{"sys/devices/system/node", fmt.Sprintf("node%d", node), "hugepages/hugepages-2048kB", name}
		}
		must(t, root.WriteInt(n, at(node)...))
		other, err := root.ReadInt(at(1 - node)...)
		must(t, err)
		must(t, root.WriteInt(n+other, "sys/kernel/mm/hugepages/hugepages-2048kB", name))
	}
}
