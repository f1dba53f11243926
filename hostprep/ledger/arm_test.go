package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// A guest has just got its 50 pages: the only ones there are, all in use. A
// file keeps the number that the kernel would take as the one to stay.
func TestArm(t *testing.T) {
	const (
		all       = "-- pools --\nall 2048 50 0 0 0 0\n0 2048 50 0 0\n-- proc/sys/kernel/random/boot_id --\n" + bootID1 + "\n"
		grants    = `{"node":0,"page_size_kib":2048,"pages":20},{"node":0,"page_size_kib":2048,"pages":30}`
		overlying = "-- pools --\n1 2048 0 0 0\n"
	)
	starting := dead(grants)
	for name, test := range map[string]struct {
		host, claim string
		armed       bool
		pages       int64
	}{
		"the kernel will see to it":  {all, starting, true, 0},
		"somebody's page is free":    {strings.ReplaceAll(all, "2048 50 0", "2048 51 1"), starting, false, 51},
		"somebody's page is in use":  {strings.ReplaceAll(all, "2048 50 0", "2048 51 0"), starting, false, 51},
		"overcommit":                 {strings.Replace(all, "50 0 0 0 0", "50 0 0 0 9", 1), starting, false, 50},
		"a second node":              {all + overlying, starting, false, 50},
		"pages may leave the guest":  {all, strings.Replace(starting, `"takes"`, `"elastic":true,"takes"`, 1), false, 50},
		"nothing was added":          {all, dead(""), false, 50},
		"others are armed":           {strings.ReplaceAll(strings.ReplaceAll(all, "all 2048 50 0 0 0", "all 2048 82 0 0 32"), "0 2048 50 0 0", "0 2048 82 0 32"), dead(`{"node":0,"page_size_kib":2048,"pages":50}`), true, 0},
		"killed, and begins anew":    {all, dead(`{"node":0,"page_size_kib":2048,"pages":50,"without":0}`), true, 0},
		"killed after the write":     {strings.ReplaceAll(strings.ReplaceAll(all, "all 2048 50 0 0 0", "all 2048 50 0 0 50"), "0 2048 50 0 0", "0 2048 50 0 50"), dead(`{"node":0,"page_size_kib":2048,"pages":50,"without":0}`), false, 50},
		"killed between two records": {all, dead(fmt.Sprintf(`{"node":0,"page_size_kib":2048,"pages":%d}`, 50)), true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, test.host, qemu(700, web1), smapsOf(700, 90), onDisk(web1+".starting", test.claim))
			open(t, root).Close()
			claims, err := ReadClaims(root)
			must(t, err)
			c := claims[0]
			if c.Phase != InUse || nr(t, root, 0, 2048) != test.pages || len(c.Armed) > 0 != test.armed || test.armed && len(c.Grants) > 0 {
				t.Errorf("%d pages, %+v", nr(t, root, 0, 2048), c)
			}
			for _, g := range append(c.Grants, c.Armed...) {
				if g.Without != nil {
					t.Errorf("left unfinished: %+v", g)
				}
			}
		})
	}
}

// The kernel has given back what was armed: nothing is taken out again, and it
// is counted as given.
func TestReleaseArmed(t *testing.T) {
	root := fixture(t, oneNode, us(), qemu(700, web1), onDisk(web1+".700",
		strings.Replace(dead(""), `"grants"`, `"armed":[{"node":0,"page_size_kib":2048,"pages":50}],"grants"`, 1)))
	l := open(t, root)
	given, owed, err := l.Release(web1)
	if diff := cmp.Diff([]int64{50 * 2 * pages.MiB, 0}, []int64{given, owed}); diff != "" || err != nil || nr(t, root, 0, 2048) != 100 || len(files(t, root)) > 0 {
		t.Errorf("%v: %d pages, %v %s", err, nr(t, root, 0, 2048), files(t, root), diff)
	}
}

// What is surplus still has not left: it is another program's, or stays as that asked for
// it.
func TestReleaseArmedBesideOthers(t *testing.T) {
	const armed = `"armed":[{"node":0,"page_size_kib":2048,"pages":50},{"node":0,"page_size_kib":2048,"pages":6}],"grants"`
	pools := strings.ReplaceAll(strings.ReplaceAll(oneNode, "0 2048 100 60 0\n", "0 2048 100 60 16\n"), "all 2048 100 60 0 0", "all 2048 100 60 0 16")
	root := fixture(t, pools, us(), onDisk(web1+".700", strings.Replace(dead(""), `"grants"`, armed, 1)))
	l, err := Open(t.Context(), root)
	must(t, err)
	defer l.Close()
	if len(l.Settled) != 1 || l.Settled[0].Given != 40*2*pages.MiB {
		t.Errorf("%+v", l.Settled)
	}
}

// A pool that is to grow takes the surplus first: it becomes the grant that it
// was, of the guest that has the pages.
func TestDisarm(t *testing.T) {
	// On a node each: in a file the surplus does not shrink, and the count is then another one.
	const surplus = "-- pools --\nall 2048 50 0 0 50 0\n0 2048 30 0 30\n1 2048 20 0 20\n-- proc/sys/kernel/random/boot_id --\n" + bootID1 + "\n"
	root := fixture(t, surplus, us(), qemu(700, web1), smapsOf(700, 90), onDisk(web1+".700",
		strings.Replace(dead(""), `"grants"`, `"armed":[{"node":0,"page_size_kib":2048,"pages":30},{"node":1,"page_size_kib":2048,"pages":20}],"grants"`, 1)))
	l := open(t, root)
	must(t, l.disarm(pages.Size1GiB))
	must(t, l.disarm(pages.Size2MiB))
	l.Close()
	claims, err := ReadClaims(root)
	must(t, err)
	want := []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 30, Without: nil, Surplus: 0}, {Node: 1, Size: pages.Size2MiB, Pages: 20, Without: nil, Surplus: 0}}
	if diff := cmp.Diff(want, claims[0].Grants); diff != "" || len(claims[0].Armed) > 0 || claims[0].fileName() != web1+".700" {
		t.Errorf("%+v %s", claims[0], diff)
	}
}
