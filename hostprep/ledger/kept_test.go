package ledger

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// roomy is a host with 300 pages of 2 MiB, 260 of them free.
var roomy = strings.ReplaceAll(oneNode, "2048 100 60", "2048 300 260")

// kept has web1 start on 90 pages, 20 of them added, which are kept.
func kept(t *testing.T, root hostfs.Root, keep pages.Keep) *Ledger {
	t.Helper()
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(90)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	keeps(t, l, web1, keep)
	return l
}

func keeps(t *testing.T, l *Ledger, uuid string, keep pages.Keep) {
	t.Helper()
	given, err := l.KeepFor(uuid, keep)
	if given != 0 {
		t.Errorf("%d bytes are freed", given)
	}
	must(t, err)
}

// stays holds web1 to be kept with 90 pages, and the pool to have so many.
func stays(t *testing.T, l *Ledger, inPool int64) {
	t.Helper()
	want := []pool.Pending{{Take: takes(90)[0], Unmapped: 90, Unfaulted: 90, For: "web1", Kept: true}}
	if diff := cmp.Diff(want, l.Pending("")); diff != "" || nr(t, l.root, 0, 2048) != inPool || len(l.Pending(web1)) > 0 {
		t.Errorf("%d pages; %s", nr(t, l.root, 0, 2048), diff)
	}
	if diff := cmp.Diff([]string{web1 + ".kept"}, files(t, l.root)); diff != "" {
		t.Error(diff)
	}
}

// What is kept for a guest is kept from others, whoever ended it and how, until it starts
// again or is freed.
func TestKept(t *testing.T) {
	root := fixture(t, roomy, us(), qemu(700, web1), smapsOf(700, 90))
	l := kept(t, root, pages.KeepAlways)
	must(t, l.Started(web1))
	if diff := cmp.Diff([]string{web1 + ".700"}, files(t, root)); diff != "" || len(l.Pending("")) > 0 {
		t.Errorf("while it runs: %v, %s", l.Pending(""), diff)
	}
	if given, owed, err := l.Release(web1); given != 0 || owed != 0 || err != nil {
		t.Errorf("%d, %d, %v", given, owed, err)
	}
	must(t, os.RemoveAll(root.Path("proc", "700")))
	stays(t, l, 320)
	if given, _, err := l.Release(web1); given != 0 || err != nil { // vmhuge stop
		t.Errorf("%d, %v", given, err)
	}
	stays(t, l, 320)
	l.Close()

	l = open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(150)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 30}}, pool.Effort{}))
	if given, _, err := l.Release(web1); given != 30*2*pages.MiB || err != nil { // its start is refused
		t.Errorf("%d, %v", given, err)
	}
	stays(t, l, 320)
	reserved := Reservations(root, l.claims)
	if len(reserved) != 1 || reserved[0].Words() != "90 pages of 2 MiB for web1 while it does not run" || reserved[0].UUID != web1 {
		t.Errorf("%+v", reserved)
	}
	if given, _, err := l.Free(web1); given != 20*2*pages.MiB || err != nil || len(files(t, root)) > 0 || nr(t, root, 0, 2048) != 300 {
		t.Errorf("%d, %v, %v", given, err, files(t, root))
	}
}

// A guest that ends while nobody looks, or whose vmhuge is killed, keeps its pages; what
// it has grown by since it started goes.
func TestKeptAfterKill(t *testing.T) {
	root := fixture(t, roomy, us(), stat(600, 5), qemu(700, web1), smapsOf(700, 90))
	l := kept(t, root, pages.KeepAlways)
	must(t, l.Started(web1))
	must(t, l.BeginResize(web1, "web1", Resize{Owner: process.Process{PID: 600, Start: 5}, Size: pages.Size2MiB, Pages: 10}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 10}}, pool.Effort{}))
	must(t, l.AskResize(web1))
	l.Close()
	for _, pid := range []string{"600", "700"} {
		must(t, os.RemoveAll(root.Path("proc", pid)))
	}
	claims, err := ReadClaims(root)
	if err != nil || len(claims) != 1 || claims[0].Phase != Kept {
		t.Errorf("%+v, %v", claims, err)
	}
	stays(t, open(t, root), 320)
}

// A run that was killed before the file had its new name, or, at the next start, its new text.
func TestKeptHalf(t *testing.T) {
	for _, name := range []string{".starting", ".700", ".kept"} {
		root := fixture(t, roomy, us())
		l := kept(t, root, pages.KeepAlways)
		if _, _, err := l.Release(web1); err != nil {
			t.Fatal(err)
		}
		l.Close()
		path := l.path(web1)
		must(t, os.Rename(path+".kept", path+name))
		l = open(t, root)
		stays(t, l, 320)
		l.Close()
	}
}

// A start that has not got all of its pages leaves nothing to keep.
func TestKeptOnlyAfterStart(t *testing.T) {
	root := fixture(t, roomy, us(), stat(600, 5))
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: process.Process{PID: 600, Start: 5}, Takes: takes(90)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	l.Close()
	must(t, os.RemoveAll(root.Path("proc", "600")))
	if open(t, root); len(files(t, root)) > 0 || nr(t, root, 0, 2048) != 300 {
		t.Errorf("%v, %d pages", files(t, root), nr(t, root, 0, 2048))
	}
}

// Time is up: the next run frees the pages.
func TestKeptForATime(t *testing.T) {
	root := fixture(t, roomy, us())
	l := kept(t, root, pages.Keep(time.Hour))
	if _, _, err := l.Release(web1); err != nil {
		t.Fatal(err)
	}
	stays(t, l, 320)
	r := Reservations(root, l.claims)[0]
	if r.Seconds < 3590 || r.Seconds > 3600 || !strings.HasPrefix(r.Words(), "90 pages of 2 MiB for web1 while it does not run, for another ") {
		t.Errorf("%+v", r)
	}
	keeps(t, l, web1, pages.KeepAlways) // another time, of a guest that has ended
	if r := Reservations(root, l.claims)[0]; r.Seconds != 0 {
		t.Errorf("%+v", r)
	}
	c := l.claims[0]
	c.Until = uptime() - 1
	must(t, l.save(0, c))
	l.Close()
	if l = open(t, root); len(files(t, root)) > 0 || nr(t, root, 0, 2048) != 300 || len(l.Settled) != 1 {
		t.Errorf("%v, %d pages, %v", files(t, root), nr(t, root, 0, 2048), l.Settled)
	}

	l.Close()
	l = kept(t, root, pages.KeepAlways)
	keeps(t, l, web1, 0)
	if given, _, err := l.Release(web1); given != 20*2*pages.MiB || err != nil {
		t.Errorf("kept no more: %d, %v", given, err)
	}
}

// A guest that takes less at its next start has no more kept.
func TestKeptLess(t *testing.T) {
	root := fixture(t, roomy, us())
	l := kept(t, root, pages.KeepAlways)
	if _, _, err := l.Release(web1); err != nil {
		t.Fatal(err)
	}
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(15)}))
	keeps(t, l, web1, pages.KeepAlways)
	if nr(t, root, 0, 2048) != 315 || l.claims[0].Keep.Grants[0].Pages != 15 {
		t.Errorf("%d pages, %+v", nr(t, root, 0, 2048), l.claims[0].Keep)
	}
}

// A guest that virsh starts without the hook has its claim.
func TestKeptStartedByOthers(t *testing.T) {
	root := fixture(t, roomy, us())
	l := kept(t, root, pages.KeepAlways)
	if _, _, err := l.Release(web1); err != nil {
		t.Fatal(err)
	}
	l.Close()
	proc := fixture(t, qemu(700, web1), smapsOf(700, 90))
	must(t, os.Rename(proc.Path("proc", "700"), root.Path("proc", "700")))
	l = open(t, root)
	if diff := cmp.Diff([]string{web1 + ".700"}, files(t, root)); diff != "" || len(l.Pending("")) > 0 {
		t.Errorf("%v, %s", l.Pending(""), diff)
	}
	must(t, os.RemoveAll(root.Path("proc", "700")))
	l.Close()
	stays(t, open(t, root), 320)
}
