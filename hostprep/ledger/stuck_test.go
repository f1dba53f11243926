package ledger

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

const writingRecord = "writing-1048576kB.json"

// stickWrite has a process of pid 4711 wait in a write of pages of 1 GiB; endWrite ends it.
func stickWrite(t *testing.T, root hostfs.Root) {
	t.Helper()
	must(t, os.MkdirAll(root.Path("proc", "4711"), 0o755))
	write(t, root.Path("proc", "4711", "stat"), "4711 (x) D 1 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 88 1 1\n")
	write(t, root.Path("run", "vmhuge", writingRecord), `{"pid":4711,"start":"88","file":"/sys/it","left":true}`)
}

func endWrite(t *testing.T, root hostfs.Root) {
	t.Helper()
	must(t, os.RemoveAll(root.Path("proc", "4711")))
}

// of1G are so many pages of 1 GiB, with which the kernel is not done if without is not 0.
func of1G(n, without int64) []pool.Grant {
	g := pool.Grant{Node: 0, Size: pages.Size1GiB, Pages: n}
	if without != 0 {
		g.Without = &without
	}
	return []pool.Grant{g}
}

// leftBehind is a host on which the start of web1 was refused because the kernel waits as it adds
// a page of 1 GiB to the 4 that there are.
func leftBehind(t *testing.T) hostfs.Root {
	t.Helper()
	root := fixture(t, withLarge, us())
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: []pool.Take{{Size: pages.Size1GiB, Pages: 3}}}))
	c := l.claims[0]
	c.Grants = of1G(1, 4)
	must(t, l.saveChange(0, c))
	stickWrite(t, root)
	given, owed, err := l.Release(web1)
	if must(t, err); given != 0 || owed != 0 {
		t.Errorf("given %d, owed %d", given, owed)
	}
	l.Close()
	return root
}

// While the kernel waits in a write, what is on record for it stays, no pool of that size is
// touched, and all others are as ever. What comes of it at last goes back.
func TestStuckWrite(t *testing.T) {
	for late := range int64(2) { // pages that it adds in the end
		root := leftBehind(t)
		l := open(t, root)
		if diff := cmp.Diff(of1G(1, 4), l.claims[0].Grants); diff != "" || len(l.SetAside) != 1 {
			t.Errorf("%v, on record (-want +got):\n%s", l.SetAside, diff)
		}
		short := (*pool.Short)(nil)
		must(t, l.Begin(Claim{UUID: db1, Name: "db1", Owner: owner(), Takes: takes(1910)}))
		if err := l.Grow(t.Context(), db1, []pool.Need{{Size: pages.Size1GiB, Pages: 1}}, pool.Effort{}); !errors.As(err, &short) || short.Stuck == nil || short.Stuck.PID != 4711 {
			t.Errorf("a page of 1 GiB is added: %v", err)
		}
		if err := l.Demote(0, pages.Size1GiB, 1); err == nil {
			t.Error("a page of 1 GiB is split")
		}
		must(t, l.Grow(t.Context(), db1, []pool.Need{{Size: pages.Size2MiB, Pages: 10}}, pool.Effort{}))
		if nr(t, root, 0, 2048) != 2010 {
			t.Errorf("%d pages of 2 MiB", nr(t, root, 0, 2048))
		}
		must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: []pool.Take{{Size: pages.Size1GiB, Pages: 3}}})) // it tries again
		if err := l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size1GiB, Pages: 1}}, pool.Effort{}); !errors.As(err, &short) {
			t.Errorf("a page of 1 GiB is added: %v", err)
		}
		_, _, err := l.Release(web1)
		must(t, err)
		l.Close()

		setLarge(t, root, 1048576, 4+late)
		l = open(t, root) // the kernel has added it, and is not done yet
		if diff := cmp.Diff(of1G(1, 4), l.claims[l.index(web1)].Grants); diff != "" || nr(t, root, 0, 1048576) != 4+late {
			t.Errorf("%d pages, on record (-want +got):\n%s", nr(t, root, 0, 1048576), diff)
		}
		l.Close()

		endWrite(t, root)
		l = open(t, root)
		if l.index(web1) >= 0 || len(l.SetAside) > 0 || nr(t, root, 0, 1048576) != 4 || nr(t, root, 0, 2048) != 2010 {
			t.Errorf("%d late: %v, %v, %d and %d pages", late, files(t, root), l.SetAside, nr(t, root, 0, 1048576), nr(t, root, 0, 2048))
		}
		given, _, err := l.Release(db1)
		if must(t, err); given != 10*int64(pages.Size2MiB) || len(files(t, root)) > 0 {
			t.Errorf("%d bytes given, %v left", given, files(t, root))
		}
		if _, err := os.Stat(root.Path("run", "vmhuge", writingRecord)); !os.IsNotExist(err) {
			t.Errorf("the record of the write is still there: %v", err)
		}
		l.Close()
	}
}

// Pages whose release the kernel has not come to are owed until it ends, and no page of another
// guest goes with them.
func TestStuckRelease(t *testing.T) {
	for gone := range int64(2) { // pages that it frees in the end
		root := fixture(t, withLarge, us(), qemu(700, db1))
		l := open(t, root)
		for uuid, pid := range map[string]int{web1: 0, db1: 700} {
			must(t, l.Begin(Claim{UUID: uuid, Name: uuid, Owner: owner(), Takes: []pool.Take{{Size: pages.Size1GiB, Pages: 1}}}))
			i := l.index(uuid)
			c := l.claims[i]
			c.Grants, c.PID = of1G(1, 0), pid // of the 4
			must(t, l.expect(c.Grants))
			l.leave(0, pages.Size1GiB, -1)
			must(t, l.save(i, c))
		}
		i := l.index(web1)
		c := l.claims[i]
		c.Grants = of1G(1, 3)
		must(t, l.saveChange(i, c))
		stickWrite(t, root)
		given, owed, err := l.Release(web1)
		if must(t, err); given != 0 || owed != int64(pages.Size1GiB) {
			t.Errorf("given %d, owed %d", given, owed)
		}
		if given, owed, err = l.Release(db1); err != nil || given != 0 || owed != int64(pages.Size1GiB) {
			t.Errorf("of the other guest: given %d, owed %d, %v", given, owed, err)
		}
		l.Close()
		open(t, root).Close()
		setLarge(t, root, 1048576, 4-gone)
		open(t, root).Close()
		endWrite(t, root)
		l = open(t, root)
		if nr(t, root, 0, 1048576) != 2 || len(files(t, root)) > 0 || len(l.SetAside) > 0 {
			t.Errorf("%d gone: %d pages, %v, %v", gone, nr(t, root, 0, 1048576), files(t, root), l.SetAside)
		}
		l.Close()
	}
}

// Pages that the kernel may yet add are not taken for those that another guest has.
func TestStuckBesideOwed(t *testing.T) {
	root := leftBehind(t)
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: db1, Name: "db1", Owner: owner(), Takes: []pool.Take{{Size: pages.Size1GiB, Pages: 4}}}))
	i := l.index(db1)
	c := l.claims[i]
	c.Grants = of1G(4, 0) // all that there are
	l.leave(0, pages.Size1GiB, -4)
	must(t, l.save(i, c))
	given, owed, err := l.Release(db1)
	if must(t, err); given != 0 || owed != 4*int64(pages.Size1GiB) {
		t.Errorf("given %d, owed %d", given, owed)
	}
	l.Close()
	endWrite(t, root)
	if l = open(t, root); nr(t, root, 0, 1048576) != 2 { // of the 4, one is in use and one reserved
		t.Errorf("%d pages of 1 GiB, %v", nr(t, root, 0, 1048576), l.SetAside)
	}
}

// Surplus that is persistent for the moment of a write stays so until that has ended, and no
// other program is taken to have set that pool.
func TestStuckBorrowed(t *testing.T) {
	root := fixture(t, strings.ReplaceAll(surplusOn0, " 2048 ", " 1048576 "), us())
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: []pool.Take{{Size: pages.Size1GiB, Pages: 6}}}))
	c := l.claims[0]
	c.Grants = []pool.Grant{{Node: 1, Size: pages.Size1GiB, Pages: 1}}
	must(t, l.expect(c.Grants))
	must(t, l.save(0, c))
	l.Close()
	const before = 64
	setLarge(t, root, 1048576, before)
	write(t, root.Path(pool.BorrowedFile...), fmt.Sprintf(`{"boot_id":%q,"node":0,"page_size_kib":1048576,"persistent":0,"total":%d}`, l.boot, before))
	write(t, root.Path("sys/devices/system/node/node0/hugepages/hugepages-1048576kB/surplus_hugepages"), "0\n")
	stickWrite(t, root)
	l = open(t, root)
	if len(l.SetAside) != 1 || len(l.writes) != 1 || nr(t, root, 0, 1048576) != before {
		t.Errorf("%v, %d pages", l.SetAside, nr(t, root, 0, 1048576))
	}
	l.Close()
	endWrite(t, root)
	open(t, root)
	if got := nr(t, root, 0, 1048576); got != 0 {
		t.Errorf("%d pages are left", got)
	}
}

// Pages that are being split when vmhuge goes on are counted when that has ended, whatever
// guests have added of the smaller ones meanwhile.
func TestStuckDemotion(t *testing.T) {
	for split := range int64(3) { // of the 2
		root := fixture(t, withLarge+demoteFiles, us())
		l := open(t, root)
		must(t, l.beginPrepared(nil))
		c := l.claims[0]
		from, before := int64(4), nr(t, root, 0, 2048)
		c.Grants = []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 1024, Without: &before}}
		c.Demoted = []Demotion{{0, pages.Size1GiB, 2, &from}}
		must(t, l.saveChange(0, c))
		stickWrite(t, root)
		l.Close()

		l = open(t, root)
		must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(1910)}))
		must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 10}}, pool.Effort{}))
		l.Close()

		setLarge(t, root, 1048576, 4-split)
		setLarge(t, root, 2048, before+10+512*split)
		endWrite(t, root)
		l = open(t, root)
		got := ""
		for _, uuid := range []string{PreparedUUID, web1} {
			if i := l.index(uuid); i >= 0 {
				c, err := l.load(i)
				must(t, err)
				got += fmt.Sprint(c.Grants, c.Demoted, " ")
			}
		}
		want := map[int64]string{0: "[] [] [{0 2 MiB 10 <nil> 0}] [] ", 1: "[{0 2 MiB 512 <nil> 0}] [1 page of 1 GiB on node 0] [{0 2 MiB 10 <nil> 0}] [] ",
			2: "[{0 2 MiB 1024 <nil> 0}] [2 pages of 1 GiB on node 0] [{0 2 MiB 10 <nil> 0}] [] "}[split]
		if got != want || len(l.SetAside) > 0 {
			t.Errorf("%d split: %v\n%s\nnot\n%s", split, l.SetAside, got, want)
		}
		l.Close()
	}
}
