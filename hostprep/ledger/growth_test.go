package ledger

import (
	"testing"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

// web1 takes 40 pages, and has 20 more reserved for its growth. It grows, is refused, shrinks
// and grows beyond them; the ledger and the pool have no page more or less, also where a
// run is killed, or another program removes a DIMM.
func TestReservedGrowth(t *testing.T) {
	root := fixture(t, oneNode, us(), qemu(700, web1), smapsOf(700, 40))
	l := open(t, root)
	reserve := takes(20)[0]
	reserve.Growth = true
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: append(takes(40), reserve), Elastic: true}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 60}}, pool.Effort{}))
	must(t, l.Started(web1))
	is := func(when string, inPool, reserved int64, file string) {
		t.Helper()
		var held int64
		for _, p := range l.Pending("") {
			if !p.Growth || p.For != "web1" || !p.Kept {
				t.Errorf("%s: %+v is pending", when, p)
			}
			held += p.Unmapped
		}
		if n := int64(nr(t, root, 0, 2048)); n != inPool || held != reserved {
			t.Errorf("%s: %d pages in the pool, not %d; %d reserved, not %d", when, n, inPool, held, reserved)
		}
		if got := files(t, root); len(got) != 1 || got[0] != web1+"."+file {
			t.Errorf("%s: %v", when, got)
		}
	}
	change := func(by int64, mapped int) {
		t.Helper()
		grows(t, l, by, false)
		must(t, l.AskResize(web1))
		has(t, root, mapped)
		if _, _, err := l.EndResize(web1); err != nil {
			t.Error(err)
		}
	}
	is("it has started", 160, 20, "starting")
	l.Close()
	l = open(t, root)
	is("the next run", 160, 20, "starting")
	change(10, 50)
	is("10 more", 160, 10, "starting")
	change(5, 50)
	is("refused by libvirt", 160, 10, "starting")
	change(-10, 40)
	is("10 less", 160, 20, "starting")
	change(20, 60)
	is("all of it", 160, 0, "starting")
	grows(t, l, 10, false)
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 10}}, pool.Effort{}))
	must(t, l.AskResize(web1))
	has(t, root, 70)
	if _, _, err := l.EndResize(web1); err != nil {
		t.Error(err)
	}
	is("beyond it", 170, 0, "starting")
	must(t, l.BeginResize(web1, "web1", Resize{Owner: process.Process{PID: 600, Start: 5}, Size: pages.Size2MiB, Pages: -20}))
	must(t, l.AskResize(web1))
	has(t, root, 50)
	must(t, l.save(0, l.claims[0].resized(-20)))
	l.Close() // as if it were killed here
	l = open(t, root)
	is("20 less, killed", 160, 10, "starting")
	has(t, root, 45)
	must(t, l.Audit())
	is("5 less, by another program", 160, 15, "starting")
	change(5, 50)
	is("5 more", 160, 10, "starting")
	change(-10, 40)
	is("back to its start", 160, 20, "starting")
	change(-10, 30)
	is("less than at its start", 150, 20, "starting")
	change(10, 40)
	is("back again", 150, 10, "starting")
	if _, _, err := l.Release(web1); err != nil {
		t.Error(err)
	}
	if n := nr(t, root, 0, 2048); n != 100 {
		t.Errorf("%d pages are left", n)
	}
}

// A run is killed while virtio-mem shrinks by 10 pages: these count as the guest's own, and
// are kept from everybody, its other growth too, whether it gives them up at once or later.
func TestReservedGrowthShrinkKilled(t *testing.T) {
	for name, atOnce := range map[string]bool{"at once": true, "later": false} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, oneNode, us(), qemu(700, web1), smapsOf(700, 40))
			l := open(t, root)
			reserve := takes(20)[0]
			reserve.Growth = true
			must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: append(takes(40), reserve), Elastic: true}))
			must(t, l.Started(web1))
			g := grower{t: t, root: root}
			shows := func(dimm, touched int) {
				g.dimms, g.touched = []int{dimm}, touched
				g.show()
			}
			held := func(when string, n int64) {
				t.Helper()
				for _, p := range l.Pending("") {
					n -= p.Unmapped
				}
				if n != 0 {
					t.Errorf("%s: %d more or fewer: %+v", when, n, l.Pending(""))
				}
			}
			grows(t, l, 20, true)
			must(t, l.AskResize(web1))
			shows(0, 20)
			_, _, err := l.EndResizeBy(web1, 20)
			must(t, err)
			held("all is in use", 0)
			must(t, l.BeginResize(web1, "web1", Resize{Owner: process.Process{PID: 600, Start: 5}, Size: pages.Size2MiB, Pages: -10, Lazy: true}))
			must(t, l.AskResize(web1))
			l.Close()
			l = open(t, root)
			held("killed", 0)
			if atOnce {
				shows(0, 10)
				held("given up", 10)
			}
			grows(t, l, 5, false)
			must(t, l.AskResize(web1))
			shows(5, 10)
			_, _, err = l.EndResize(web1)
			must(t, err)
			held("beside a DIMM", 10)
			grows(t, l, -5, false)
			must(t, l.AskResize(web1))
			shows(0, 10)
			_, _, err = l.EndResize(web1)
			must(t, err)
			held("the DIMM has left it", 10)
		})
	}
}

// Pages that are reserved on node 0 are not for a DIMM on node 1, and not reserved again as it goes.
func TestReservedGrowthOnNode(t *testing.T) {
	root := fixture(t, twoNodesAlike, us(), qemu(700, web1), smapsOf(700, 10))
	l := open(t, root)
	on := func(node int, n int64) pool.Take {
		return pool.Take{Nodes: []int{node}, Size: pages.Size2MiB, Pages: n}
	}
	reserve := on(0, 6)
	reserve.Growth = true
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: []pool.Take{on(0, 10), reserve}, Elastic: true}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Nodes: []int{0}, Size: pages.Size2MiB, Pages: 6}}, pool.Effort{}))
	must(t, l.Started(web1))
	change := func(node int, by int64, mapped int, more, reserved int64) {
		t.Helper()
		must(t, l.BeginResize(web1, "web1", Resize{Owner: owner(), Size: pages.Size2MiB, Pages: by, Nodes: []int{node}}))
		if more > 0 {
			must(t, l.Grow(t.Context(), web1, []pool.Need{{Nodes: []int{node}, Size: pages.Size2MiB, Pages: more}}, pool.Effort{}))
		}
		must(t, l.AskResize(web1))
		has(t, root, mapped)
		_, _, err := l.EndResize(web1)
		must(t, err)
		var left int64
		for _, p := range l.Pending("") {
			left += p.Unmapped
		}
		if left != reserved {
			t.Errorf("%+d on node %d: %d are reserved, not %d", by, node, left, reserved)
		}
	}
	change(1, 8, 18, 8, 6)
	change(0, 4, 22, 0, 2)
	change(0, 4, 26, 2, 0) // of which 2 are the newest pages
	change(1, -8, 18, 0, 0)
	if n := nr(t, root, 1, 2048); n != 30 {
		t.Errorf("%d pages on node 1", n)
	}
	change(0, -8, 10, 0, 6)
	if n := nr(t, root, 0, 2048); n != 16 {
		t.Errorf("%d pages on node 0", n)
	}
}
