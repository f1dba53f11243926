package ledger

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// has makes process 700 have n pages of 2 MiB.
func has(t *testing.T, root hostfs.Root, n int) {
	t.Helper()
	_, text, _ := strings.Cut(smapsOf(700, n), "--\n")
	must(t, os.WriteFile(root.Path("proc", "700", "smaps"), []byte(text), 0o644))
}

// grows begins a change of web1, which has 40 pages, by n.
func grows(t *testing.T, l *Ledger, n int64, lazy bool) {
	t.Helper()
	must(t, l.BeginResize(web1, "web1", Resize{Owner: owner(), Size: pages.Size2MiB, Pages: n, Lazy: lazy}))
}

// A guest that vmhuge has not started grows, grows again, and shrinks.
func TestResize(t *testing.T) {
	root := fixture(t, oneNode, us(), qemu(700, web1), smapsOf(700, 40))
	l := open(t, root)
	grows(t, l, 30, false)
	if diff := cmp.Diff([]pool.Pending{{Take: takes(30)[0], Unmapped: 30, Unfaulted: 30, For: ""}}, l.Pending("")); diff != "" {
		t.Errorf("what it grows by is not kept for it: %s", diff)
	}
	if err := l.BeginResize(web1, "web1", Resize{Owner: owner(), Size: pages.Size2MiB, Pages: 1}); !errors.Is(err, ErrResizing) {
		t.Errorf("a second growth: %v", err)
	}
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	must(t, l.AskResize(web1))
	has(t, root, 70)
	ended := func(want int64, file string) {
		t.Helper()
		given, owed, err := l.EndResize(web1)
		if err != nil || owed != 0 || given != want*2*pages.MiB {
			t.Errorf("%v: %d given, %d owed", err, given, owed)
		}
		if diff := cmp.Diff([]string{web1 + "." + file}, files(t, root)); diff != "" || len(l.Pending("")) > 0 {
			t.Errorf("%v %s", l.Pending(""), diff)
		}
	}
	ended(0, "700")
	l.Close()

	l = open(t, root)
	grows(t, l, 10, false)
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 10}}, pool.Effort{}))
	must(t, l.AskResize(web1))
	ended(10, "700") // libvirt has refused it
	if n := nr(t, root, 0, 2048); n != 120 {
		t.Errorf("%d pages after a growth that came to nothing", n)
	}
	grows(t, l, -30, false)
	must(t, l.AskResize(web1))
	has(t, root, 40)
	ended(20, "700") // the other 10 were there before
	if n := nr(t, root, 0, 2048); n != 100 {
		t.Errorf("%d pages after it has shrunk", n)
	}
	if _, _, err := l.Release(web1); err != nil || nr(t, root, 0, 2048) != 100 {
		t.Errorf("%v: %d pages", err, nr(t, root, 0, 2048))
	}
	if err := l.BeginResize(db1, "db1", Resize{Owner: owner(), Size: pages.Size2MiB, Pages: 1}); !errors.Is(err, ErrGone) {
		t.Errorf("a guest that does not run: %v", err)
	}
}

// A refusal leaves no claim of a guest that had none.
func TestResizeRefused(t *testing.T) {
	root := fixture(t, oneNode, us(), qemu(700, web1), smapsOf(700, 40))
	l := open(t, root)
	grows(t, l, 30, false)
	if _, _, err := l.EndResize(web1); err != nil || len(files(t, root)) > 0 {
		t.Errorf("%v: %v", err, files(t, root))
	}
}

// Of virtio-mem's pages those that the guest has not touched stay its own.
func TestResizeLazy(t *testing.T) {
	root := fixture(t, oneNode, us(), qemu(700, web1), smapsOf(700, 40))
	l := open(t, root)
	waits := func(want ...pool.Pending) {
		t.Helper()
		if diff := cmp.Diff(want, l.Pending("")); diff != "" {
			t.Error(diff)
		}
	}
	by := func(n, got int64, freed int64) {
		t.Helper()
		grows(t, l, n, true)
		if n > 0 {
			must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: n}}, pool.Effort{}))
		}
		must(t, l.AskResize(web1))
		if given, owed, err := l.EndResizeBy(web1, got); err != nil || given != freed*2*pages.MiB || owed != 0 {
			t.Errorf("by %d: %v, %d given, %d owed", n, err, given, owed)
		}
		l.Close()
		l = open(t, root)
	}
	by(16, 16, 0)
	waits(pool.Pending{Take: takes(16)[0], Unmapped: 16, Unfaulted: 16, For: ""})
	by(8, 4, 4) // it took half
	waits(pool.Pending{Take: takes(4)[0], Unmapped: 4, Unfaulted: 4, For: ""}, pool.Pending{Take: takes(16)[0], Unmapped: 16, Unfaulted: 16, For: ""})
	has(t, root, 50)
	waits(pool.Pending{Take: takes(4)[0], Unmapped: 4, Unfaulted: 4, For: ""}, pool.Pending{Take: takes(16)[0], Unmapped: 6, Unfaulted: 10, For: ""})
	has(t, root, 46)
	by(-8, -8, 8)
	if n := nr(t, root, 0, 2048); n != 112 {
		t.Errorf("%d pages", n)
	}
	has(t, root, 52) // all that it may have
	l.Close()
	l = open(t, root)
	if diff := cmp.Diff([]string{web1 + ".700"}, files(t, root)); diff != "" {
		t.Error(diff)
	}
}

// What a kill -9 leaves of a growth by 30 pages of which 20 were added, and of a guest that
// has 10 of its own.
func TestResizeCrash(t *testing.T) {
	for name, test := range map[string]struct {
		asked, lazy, gone bool
		change            int64
		has               int
		pages             int64 // in the pool, which has 130
		file              string
	}{
		"before libvirt was asked":      {false, false, false, 30, 40, 110, "700"},
		"libvirt has not done it":       {true, false, false, 30, 40, 110, "700"},
		"the guest has it":              {true, false, false, 30, 70, 130, "700"},
		"the guest has ended":           {true, false, true, 30, 40, 100, ""},
		"virtio-mem, before":            {false, true, false, 30, 40, 110, "700"},
		"virtio-mem, which it may take": {true, true, false, 30, 40, 130, "starting"},
		"a DIMM went":                   {true, false, false, -20, 20, 110, "700"},
		"a DIMM did not go":             {true, false, false, -20, 40, 130, "700"},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, strings.ReplaceAll(oneNode, "100 60", "130 90"), us(), qemu(700, web1), smapsOf(700, 40), onDisk(web1+".700",
				strings.Replace(dead(`{"node":0,"page_size_kib":2048,"pages":10}`), `"pages":90`, `"pages":40`, 1)))
			l := open(t, root)
			if test.change < 0 { // the 20 are of an earlier growth
				c, err := l.load(0)
				must(t, err)
				c.Grants = append(c.Grants, pool.Grant{Node: 0, Size: pages.Size2MiB, Pages: 20, Without: nil, Surplus: 0})
				must(t, l.save(0, c))
			}
			must(t, l.BeginResize(web1, "web1", Resize{Owner: process.Process{PID: 600, Start: 5}, Size: pages.Size2MiB, Pages: test.change, Lazy: test.lazy}))
			if test.change > 0 {
				c := l.claims[0]
				c.Grants = append(c.Grants, pool.Grant{Node: 0, Size: pages.Size2MiB, Pages: 20, Without: nil, Surplus: 0})
				must(t, l.save(0, c))
			}
			if test.asked {
				must(t, l.AskResize(web1))
			}
			l.counts.pools = nil // the grants are not of this run
			l.counts.changed = false
			l.unlock()
			must(t, os.RemoveAll(root.Path(countsFile...)))
			has(t, root, test.has)
			if test.gone {
				must(t, os.RemoveAll(root.Path("proc", "700")))
			}
			open(t, root).Close()
			want := []string{web1 + "." + test.file}
			if test.file == "" {
				want = []string{}
			}
			if diff := cmp.Diff(want, files(t, root)); diff != "" || nr(t, root, 0, 2048) != test.pages {
				t.Errorf("%d pages %s", nr(t, root, 0, 2048), diff)
			}
		})
	}
}

// Another program has taken a DIMM of 20 pages out of a guest.
func TestTrim(t *testing.T) {
	for name, test := range map[string]struct {
		has, later int // pages, and whether virtio-mem may take more
		elastic    string
		pages      int64
	}{
		"it went":              {20, 0, `"elastic":true,`, 110},
		"it is there":          {40, 0, `"elastic":true,`, 130},
		"virtio-mem":           {20, 1, `"elastic":true,`, 130},
		"nothing can leave it": {20, 0, "", 130},
	} {
		t.Run(name, func(t *testing.T) {
			maps := smapsOf(700, test.has)
			if test.later > 0 {
				maps += "7f0200000000-7f0210000000 rw-s 00000000 00:2b 94 /b\nSize: 262144 kB\nKernelPageSize: 2048 kB\nVmFlags: rd nr ht sd\n"
			}
			claim := strings.Replace(dead(`{"node":0,"page_size_kib":2048,"pages":10},{"node":0,"page_size_kib":2048,"pages":30}`), `"takes"`, test.elastic+`"takes"`, 1)
			root := fixture(t, strings.ReplaceAll(oneNode, "100 60", "130 90"), us(), qemu(700, web1), maps, onDisk(web1+".700", claim))
			l := open(t, root)
			must(t, l.Audit())
			if diff := cmp.Diff([]string{web1 + ".700"}, files(t, root)); diff != "" || nr(t, root, 0, 2048) != test.pages {
				t.Errorf("%d pages %s", nr(t, root, 0, 2048), diff)
			}
			if freed := 130 - test.pages; freed > 0 != (len(l.Settled) == 1) || freed > 0 && l.Settled[0].Given != freed*2*pages.MiB {
				t.Errorf("%+v", l.Settled)
			}
		})
	}
}
