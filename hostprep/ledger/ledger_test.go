package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

func open(t *testing.T, root hostfs.Root) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), root)
	must(t, err)
	t.Cleanup(l.Close)
	return l
}

func takes(n int64) []pool.Take { return []pool.Take{{Size: pages.Size2MiB, Pages: n}} }

// owner is the process of the test, which us puts into a fixture.
func owner() process.Process { return process.Process{PID: os.Getpid(), Start: 77} }

// files lists what the ledger has on disk.
func files(t *testing.T, root hostfs.Root) []string {
	t.Helper()
	entries, err := os.ReadDir(root.Path(claimsDir...))
	if !os.IsNotExist(err) {
		must(t, err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestLedger(t *testing.T) {
	root := fixture(t, oneNode, us(), qemu(700, web1))
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(90)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 10}}, pool.Effort{}))
	must(t, l.Begin(Claim{UUID: db1, Name: "db1", Owner: owner(), Takes: takes(7)}))
	want := []Claim{
		{UUID: db1, Name: "db1", Phase: Starting, Owner: owner(), Takes: takes(7)},
		{UUID: web1, Name: "web1", Phase: Starting, PID: 700, Owner: owner(), Takes: takes(90),
			Grants: []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 20, Without: nil, Surplus: 0}, {Node: 0, Size: pages.Size2MiB, Pages: 10, Without: nil, Surplus: 0}}},
	}
	claims, err := ReadClaims(root)
	must(t, err)
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
	// Only what others still wait for counts.
	if diff := cmp.Diff([]pool.Pending{{Take: takes(7)[0], Unmapped: 7, Unfaulted: 7, For: ""}}, l.Pending(web1)); diff != "" {
		t.Error(diff)
	}
	all, err := ReadPending(root, "")
	if diff := cmp.Diff([]pool.Pending{{Take: takes(7)[0], Unmapped: 7, Unfaulted: 7, For: ""}, {Take: takes(90)[0], Unmapped: 90, Unfaulted: 90, For: ""}}, all); diff != "" || err != nil {
		t.Error(err, diff)
	}
	must(t, l.Started(web1))
	if diff := cmp.Diff([]string{db1 + ".starting", web1 + ".700"}, files(t, root)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]pool.Pending{{Take: takes(7)[0], Unmapped: 7, Unfaulted: 7, For: ""}}, l.Pending("")); diff != "" {
		t.Error(diff)
	}

	given, owed, err := l.Release(web1)
	if err != nil || given != 60*pages.MiB || owed != 0 || nr(t, root, 0, 2048) != 100 {
		t.Errorf("%v: %d given, %d owed, %d pages", err, given, owed, nr(t, root, 0, 2048))
	}
	if given, owed, err := l.Release(web1); given != 0 || owed != 0 || err != nil {
		t.Errorf("a second release: %d, %d, %v", given, owed, err)
	}
	must(t, l.Started(web1))
	if _, _, err := l.Release(db1); err != nil {
		t.Error(err)
	}
	if names := files(t, root); len(names) > 0 {
		t.Errorf("an empty ledger leaves %v", names)
	}
	if err := l.Grow(t.Context(), web1, nil, pool.Effort{}); err == nil {
		t.Error("grew without a claim")
	}
	for _, uuid := range []string{"", "../../etc/passwd", strings.ToUpper(web1), web1 + "0", strings.Replace(web1, "-", "/", 1)} {
		if err := l.Begin(Claim{UUID: uuid}); err == nil {
			t.Errorf("%q became a file", uuid)
		}
	}
}

// A second start of the same guest keeps what the first one got, and another
// process may answer for it: vmhuge start begins, libvirtd's hook goes on.
func TestBeginAgain(t *testing.T) {
	for _, phase := range []Phase{Starting, InUse, Owed} {
		root := fixture(t, oneNode, us(), stat(600, 5))
		l := open(t, root)
		must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: process.Process{PID: 600, Start: 5}, Takes: takes(90)}))
		must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
		if phase != Starting {
			i := l.index(web1)
			c := l.claims[i]
			c.Phase, c.PID = phase, 700
			must(t, l.rename(i, c))
		}
		must(t, l.Begin(Claim{UUID: web1, Name: "renamed", Owner: owner(), Takes: takes(50)}))
		must(t, os.RemoveAll(root.Path("proc", "600")))
		claims, err := ReadClaims(root)
		must(t, err)
		want := []Claim{{UUID: web1, Name: "renamed", Phase: Starting, Owner: owner(), Takes: takes(50), Grants: []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 20, Without: nil, Surplus: 0}}}}
		if diff := cmp.Diff(want, claims); diff != "" || len(files(t, root)) != 1 {
			t.Errorf("%s: %v %s", phase, files(t, root), diff)
		}
	}
}

// A growth that fails gives back its own pages and no others of the same claim.
func TestGrowFailsLater(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Owner: owner()}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	if err := l.Grow(t.Context(), web1, []pool.Need{{Nodes: []int{0}, Size: pages.Size2MiB, Pages: 5}, {Nodes: []int{4}, Size: pages.Size2MiB, Pages: 5}}, pool.Effort{}); err == nil {
		t.Error("node 4 grew")
	}
	claims, err := ReadClaims(root)
	must(t, err)
	if diff := cmp.Diff([]pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 20, Without: nil, Surplus: 0}}, claims[0].Grants); diff != "" || nr(t, root, 0, 2048) != 120 {
		t.Errorf("%d pages, %s", nr(t, root, 0, 2048), diff)
	}
}

// What a guest has taken since the ledger was opened does not count any more.
func TestPendingNow(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(9)}))
	if diff := cmp.Diff([]pool.Pending{{Take: takes(9)[0], Unmapped: 9, Unfaulted: 9, For: ""}}, l.Pending("")); diff != "" {
		t.Error(diff)
	}
	proc := root.Path("proc", "700")
	for _, f := range txtar.Parse([]byte(qemu(700, web1) + smapsOf(700, 9))).Files {
		write(t, filepath.Join(proc, filepath.Base(f.Name)), string(f.Data))
	}
	must(t, os.Symlink("qemu-system", filepath.Join(proc, "exe")))
	write(t, filepath.Join(proc, "cmdline"), "qemu-system\x00-uuid\x00"+web1+"\x00")
	if left := l.Pending(""); len(left) > 0 {
		t.Error(left)
	}
}

// A guest that was announced must come in time.
func TestUntil(t *testing.T) {
	for until, want := range map[time.Duration]int{-2 * time.Second: 0, time.Hour: 1} {
		root := fixture(t, oneNode, us())
		l := open(t, root)
		must(t, l.Begin(Claim{UUID: web1, Owner: owner(), Takes: takes(9), Until: In(until)}))
		must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
		l.Close()
		if l = open(t, root); len(l.claims) != want || nr(t, root, 0, 2048) != int64(100+20*want) {
			t.Errorf("%s: %d claims, %d pages", until, len(l.claims), nr(t, root, 0, 2048))
		}
	}
}

// Pages that a guest leaves and another one waits for stay until that one has
// ended, however it ends.
func TestOwedToAnother(t *testing.T) {
	root := fixture(t, strings.ReplaceAll(oneNode, " 60 ", " 20 "), us())
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Owner: owner(), Takes: takes(20)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	must(t, l.Begin(Claim{UUID: db1, Owner: owner(), Takes: takes(15)}))
	given, owed, err := l.Release(web1)
	if err != nil || given != 5*2*pages.MiB || owed != 15*2*pages.MiB || nr(t, root, 0, 2048) != 115 {
		t.Errorf("%v: %d given, %d owed, %d pages", err, given, owed, nr(t, root, 0, 2048))
	}
	if _, _, err := l.Release(db1); err != nil || nr(t, root, 0, 2048) != 100 || len(files(t, root)) != 0 {
		t.Errorf("%v: %d pages, %v", err, nr(t, root, 0, 2048), files(t, root))
	}
}

const bootID1 = "11111111-2222-3333-4444-555555555555"

// dead is the file of a guest of 90 pages, some of them added, whose start was
// answered for by a process that does not run.
func dead(grant string) string {
	return fmt.Sprintf(`{"version":1,"boot_id":%q,"uuid":%q,"name":"web1","owner":{"pid":600,"start":5},
  "takes":[{"page_size_kib":2048,"pages":90}],"grants":[%s]}`, bootID1, web1, grant)
}

// onDisk is a claim's file in a fixture.
func onDisk(name, text string) string {
	return "-- run/vmhuge/claims/" + name + " --\n" + text + "\n"
}

// smapsOf is a process that has n pages of 2 MiB.
func smapsOf(pid int, n int) string {
	return fmt.Sprintf("-- proc/%d/smaps --\n7f0000000000-7f0100000000 rw-s 00000000 00:2b 93 /a\nSize: %d kB\nKernelPageSize: 2048 kB\nPrivate_Hugetlb: %d kB\nVmFlags: rd ht sd\n", pid, n*2048, n*2048)
}

// What a kill -9 leaves, at every moment, and what the next run makes of it.
// The pool has 100 pages, 60 of them free.
func TestCrash(t *testing.T) {
	const (
		starting = web1 + ".starting"
		inUse    = web1 + ".700"
		owed     = web1 + ".owed"
		recorded = `{"node":0,"page_size_kib":2048,"pages":50}`
		intended = `{"node":0,"page_size_kib":2048,"pages":50,"without":%d}`
	)
	for name, test := range map[string]struct {
		file, grant, host string
		want              string // the file afterwards; "": none
		pages, given      int64
	}{
		"before the write":                {file: starting, grant: fmt.Sprintf(intended, 100), pages: 100},
		"after a part of it":              {file: starting, grant: fmt.Sprintf(intended, 70), pages: 70, given: 30},
		"after the write":                 {file: starting, grant: fmt.Sprintf(intended, 50), pages: 50, given: 50},
		"others have added more":          {file: starting, grant: fmt.Sprintf(intended, 10), pages: 50, given: 50},
		"others have taken pages out":     {file: starting, grant: fmt.Sprintf(intended, 300), pages: 100},
		"after the record":                {file: starting, grant: recorded, pages: 50, given: 50},
		"in a second pool":                {file: starting, grant: `{"node":0,"page_size_kib":2048,"pages":10},` + fmt.Sprintf(intended, 95), pages: 85, given: 15},
		"after giving back":               {file: owed, grant: fmt.Sprintf(intended, 100), pages: 100},
		"before giving back":              {file: owed, grant: fmt.Sprintf(intended, 50), pages: 50, given: 50},
		"the guest has started":           {file: starting, grant: recorded, host: qemu(700, web1) + smapsOf(700, 90), want: inUse, pages: 100},
		"while the guest starts":          {file: starting, grant: recorded, host: qemu(700, web1) + smapsOf(700, 89), want: starting, pages: 100},
		"the guest runs, grant intended":  {file: starting, grant: fmt.Sprintf(intended, 70), host: qemu(700, web1) + smapsOf(700, 90), want: inUse, pages: 100},
		"the owner still works on it":     {file: starting, grant: recorded, host: stat(600, 5), want: starting, pages: 100},
		"the owner's pid is another's":    {file: starting, grant: recorded, host: stat(600, 6), pages: 50, given: 50},
		"the guest runs":                  {file: inUse, grant: recorded, host: qemu(700, web1), want: inUse, pages: 100},
		"the guest runs again":            {file: inUse, grant: recorded, host: qemu(701, web1), want: web1 + ".701", pages: 100},
		"the guest is gone":               {file: inUse, grant: recorded, pages: 50, given: 50},
		"the guest is gone, not libvirtd": {file: inUse, grant: recorded, host: stat(600, 5), pages: 50, given: 50},
		"another guest runs":              {file: inUse, grant: recorded, host: qemu(700, db1), pages: 50, given: 50},
		"others use most of the pages":    {file: inUse, grant: recorded, host: "-- pools --\nall 2048 100 8 0 0 0\n0 2048 100 8 0\n", want: owed, pages: 92, given: 8},
		"others gave back what was owed":  {file: owed, grant: recorded, pages: 50, given: 50},
		"owed, and the guest runs again":  {file: owed, grant: recorded, host: qemu(700, web1), pages: 50, given: 50},
		"nothing was ever added":          {file: inUse, pages: 100},
		"a node that is gone":             {file: inUse, grant: `{"node":5,"page_size_kib":2048,"pages":50}`, want: owed, pages: 100},
		"others took our pages out":       {file: inUse, grant: recorded, host: "-- pools --\nall 2048 0 0 0 0 0\n0 2048 0 0 0\n", pages: 0, given: 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, oneNode, test.host, onDisk(test.file, dead(test.grant)), onDisk(".tmp-123", "cut off"))
			shown, err := ReadClaims(root)
			must(t, err)
			l := open(t, root)
			must(t, l.Audit()) // finds a pid that is another's now
			if got := strings.Join(files(t, root), " "); got != test.want || nr(t, root, 0, 2048) != test.pages {
				t.Errorf("left as %q with %d pages, not %q with %d", got, nr(t, root, 0, 2048), test.want, test.pages)
			}
			given := int64(0)
			for _, s := range l.Settled {
				given += s.Given
				if s.UUID != web1 || s.Name != "web1" {
					t.Errorf("settled %+v", s)
				}
			}
			if given != test.given*2*pages.MiB {
				t.Errorf("%d MiB given back", given/pages.MiB)
			}
			// What is shown without the lock is the same; what goes is owed.
			want := test.want
			if want == "" {
				want = owed
			}
			if len(shown) != 1 || shown[0].fileName() != want {
				t.Errorf("shown as %+v", shown)
			}
			if waiting := len(pendingOf(root, shown, "")) > 0; waiting != (test.want == starting) {
				t.Errorf("counted as waiting for pages: %v", waiting)
			}
			// A second run finds nothing more to do.
			l.Close()
			open(t, root)
			if nr(t, root, 0, 2048) != test.pages && test.want != owed {
				t.Errorf("the second run changed it to %d pages", nr(t, root, 0, 2048))
			}
		})
	}
}

// A file that can't be used costs one claim, is kept, and said once.
func TestUnusableClaim(t *testing.T) {
	const grant = `{"node":0,"page_size_kib":2048,"pages":50}`
	for name, test := range map[string]struct{ file, text, aside string }{
		"broken JSON":     {text: `{"version":1,"boot_id":"1111`, aside: "unexpected end of JSON input"},
		"empty":           {text: "", aside: "unexpected end of JSON input"},
		"no version":      {text: `{}`, aside: "version 0"},
		"wrong shape":     {text: `{"version":1,"uuid":5}`, aside: "cannot unmarshal"},
		"absurd number":   {text: `{"version":1,"grants":[{"pages":1e300}]}`, aside: "cannot unmarshal"},
		"absurd size":     {text: `{"version":1,"grants":[{"page_size_kib":9223372036854775807}]}`, aside: "not a page size"},
		"negative":        {text: strings.Replace(dead(grant), `"pages":50`, `"pages":-50`, 1), aside: "-50 pages"},
		"another guest's": {text: strings.ReplaceAll(dead(grant), web1, db1), aside: "it names the guest"},
		"something else":  {text: `[1,2]`, aside: "cannot unmarshal"},
		"another boot":    {text: strings.Replace(dead(grant), bootID1, "another", 1)},
		"no claim":        {file: "README", text: "hello", aside: "not that of a claim"},
		"no phase":        {file: web1 + ".a5leep", text: dead(grant), aside: "not that of a claim"},
		"no pid":          {file: web1 + ".007", text: dead(grant), aside: "not that of a claim"},
		"no UUID":         {file: "web1.owed", text: dead(grant), aside: "not that of a claim"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.file == "" {
				test.file = web1 + ".starting"
			}
			root := fixture(t, oneNode, us())
			write(t, filepath.Join(root.Path(claimsDir...), test.file), test.text)
			if claims, err := ReadClaims(root); err != nil || len(claims) != 0 {
				t.Errorf("shown: %v, %v", claims, err)
			}
			l := open(t, root)
			if len(l.claims) != 0 || nr(t, root, 0, 2048) != 100 {
				t.Errorf("%v, %d pages", l.claims, nr(t, root, 0, 2048))
			}
			aside := filepath.Join(root.Path(asideDir...), test.file)
			said := strings.Join(l.SetAside, "; ")
			if test.aside == "" {
				if said != "" {
					t.Error(said)
				}
			} else if text, err := os.ReadFile(aside); err != nil || string(text) != test.text || !strings.Contains(said, test.aside) || !strings.Contains(said, aside) {
				t.Errorf("%q: %q, %v", said, text, err)
			}
			// It goes on from there.
			must(t, l.Begin(Claim{UUID: web1, Owner: owner(), Takes: takes(7)}))
			l.Close()
			if l = open(t, root); len(l.claims) != 1 || len(l.SetAside) > 0 {
				t.Errorf("next time: %v, %s", l.claims, l.SetAside)
			}
		})
	}
}

// What is no file keeps nobody from the ledger, and is not waited for.
func TestNoFiles(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"fifo":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"folder": func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		"link":   func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		root := fixture(t, oneNode, us())
		for range 2 {
			paths := []string{filepath.Join(root.Path(claimsDir...), web1+".starting"), root.Path(countsFile...), root.Path(pool.BorrowedFile...)}
			for _, path := range paths {
				must(t, os.MkdirAll(filepath.Dir(path), 0o755))
				must(t, put(path))
			}
			if claims, err := ReadClaims(root); err != nil || len(claims) > 1 {
				t.Errorf("%s: shown: %v, %v", name, claims, err)
			}
			l := open(t, root)
			if len(l.claims) != 0 || len(l.SetAside) != len(paths) {
				t.Errorf("%s: %v, %q", name, l.claims, l.SetAside)
			}
			must(t, l.Begin(Claim{UUID: web1, Owner: owner(), Takes: takes(7)}))
			must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
			_, _, err := l.Release(web1)
			must(t, err)
			l.Close()
		}
	}
}

// The claim of a guest that runs is not read until somebody needs it.
func TestUnusableClaimOfRunningGuest(t *testing.T) {
	for name, use := range map[string]func(l *Ledger) error{
		"released": func(l *Ledger) error { _, _, err := l.Release(web1); return err },
		"begun":    func(l *Ledger) error { return l.Begin(Claim{UUID: web1, Owner: owner()}) },
	} {
		root := fixture(t, oneNode, us(), qemu(700, web1), onDisk(web1+".700", "{"))
		l := open(t, root)
		if len(l.claims) != 1 || len(l.SetAside) > 0 {
			t.Errorf("%s: %v, %v", name, l.claims, l.SetAside)
		}
		if err := use(l); err != nil || len(l.SetAside) != 1 || nr(t, root, 0, 2048) != 100 {
			t.Errorf("%s: %v, %v, %d pages", name, err, l.SetAside, nr(t, root, 0, 2048))
		}
	}
	// Two files of one guest: the second is the one that goes.
	root := fixture(t, oneNode, us(), onDisk(web1+".700", dead("")), onDisk(web1+".starting", dead("")))
	if l := open(t, root); len(l.SetAside) != 1 || !strings.Contains(l.SetAside[0], "there is "+web1+".700 too") {
		t.Error(l.SetAside)
	}
}

// A ledger is not for everybody to write, and for everybody to read.
func TestLedgerMode(t *testing.T) {
	root := fixture(t, oneNode, us())
	must(t, open(t, root).Begin(Claim{UUID: web1, Owner: owner()}))
	info, err := os.Stat(root.Path(append(slices.Clip(claimsDir), web1+".starting")...))
	must(t, err)
	if info.Mode().Perm() != 0o644 {
		t.Error(info.Mode())
	}
	entries, err := os.ReadDir(root.Path(hostfs.RunDir...))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: not the claims and the lock", entries, err)
	}
}
