package pool

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

func totals(n int64) []pages.Total {
	return []pages.Total{{PageSize: pages.Size2MiB, Pages: n, MemoryKiB: n * 2048}}
}

func TestLedger(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Begin(web1, "web1", totals(90)))
	must(t, l.Grow(t.Context(), web1, []Need{{Size: pages.Size2MiB, Pages: 20}}, Effort{}))
	must(t, l.Grow(t.Context(), web1, []Need{{Size: pages.Size2MiB, Pages: 10}}, Effort{}))
	must(t, l.Begin(db1, "db1", totals(7)))
	want := []Claim{
		{UUID: web1, Name: "web1", Phase: Pending, Owner: Process{os.Getpid(), 77}, Totals: totals(90),
			Grants: []Grant{{0, pages.Size2MiB, 20, nil}, {0, pages.Size2MiB, 10, nil}}},
		{UUID: db1, Name: "db1", Phase: Pending, Owner: Process{os.Getpid(), 77}, Totals: totals(7)},
	}
	claims, err := ReadClaims(root)
	must(t, err)
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
	// Only what others still wait for counts, by size.
	if diff := cmp.Diff(map[pages.Size]int64{pages.Size2MiB: 7}, Claimed(claims, web1)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[pages.Size]int64{pages.Size2MiB: 97}, Claimed(claims, "")); diff != "" {
		t.Error(diff)
	}
	must(t, l.Started(web1))
	if diff := cmp.Diff(map[pages.Size]int64{pages.Size2MiB: 7}, Claimed(l.Claims(), "")); diff != "" {
		t.Error(diff)
	}

	given, owed, err := l.Release(web1)
	if err != nil || given != 60*pages.MiB || owed != 0 || nr(t, root, 0, 2048) != 100 {
		t.Errorf("%v: %d given, %d owed, %d pages", err, given, owed, nr(t, root, 0, 2048))
	}
	if given, owed, err := l.Release(web1); given != 0 || owed != 0 || err != nil {
		t.Errorf("a second release: %d, %d, %v", given, owed, err)
	}
	must(t, l.Started("unknown"))
	if _, _, err := l.Release(db1); err != nil {
		t.Error(err)
	}
	if _, err := root.Read("run", "vmhuge", "ledger.json"); !os.IsNotExist(err) {
		t.Errorf("an empty ledger leaves a file: %v", err)
	}
	if err := l.Grow(t.Context(), web1, nil, Effort{}); err == nil {
		t.Error("grew without a claim")
	}
}

// A second start of the same guest keeps what the first one got.
func TestBeginAgain(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Begin(web1, "web1", totals(90)))
	must(t, l.Grow(t.Context(), web1, []Need{{Size: pages.Size2MiB, Pages: 20}}, Effort{}))
	must(t, l.Begin(web1, "renamed", totals(50)))
	if len(l.Claims()) != 1 || l.Claims()[0].Name != "renamed" || len(l.Claims()[0].Grants) != 1 {
		t.Errorf("%+v", l.Claims())
	}
}

// A growth that fails gives back its own pages and no others of the same claim.
func TestGrowFailsLater(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Begin(web1, "web1", totals(90)))
	must(t, l.Grow(t.Context(), web1, []Need{{Size: pages.Size2MiB, Pages: 20}}, Effort{}))
	if err := l.Grow(t.Context(), web1, []Need{{Nodes: []int{0}, Size: pages.Size2MiB, Pages: 5}, {Nodes: []int{4}, Size: pages.Size2MiB, Pages: 5}}, Effort{}); err == nil {
		t.Error("node 4 grew")
	}
	claims, err := ReadClaims(root)
	must(t, err)
	if diff := cmp.Diff([]Grant{{0, pages.Size2MiB, 20, nil}}, claims[0].Grants); diff != "" || nr(t, root, 0, 2048) != 120 {
		t.Errorf("%d pages, %s", nr(t, root, 0, 2048), diff)
	}
}

const bootID1 = "11111111-2222-3333-4444-555555555555"

// dead is the claim of a vmhuge that is gone: 50 pages with an owner that does
// not run.
func dead(phase Phase, grant string) string {
	return fmt.Sprintf(`{"uuid":%q,"name":"web1","phase":%q,"owner":{"pid":600,"start":5},
  "totals":[{"page_size_kib":2048,"pages":90,"memory_kib":184320}],"grants":[%s]}`, web1, phase, grant)
}

func onDisk(claims ...string) string {
	return fmt.Sprintf("-- run/vmhuge/ledger.json --\n{\"version\":1,\"boot_id\":%q,\"claims\":[%s]}\n", bootID1, strings.Join(claims, ","))
}

// What a kill -9 leaves, at every moment, and what the next run makes of it.
// The pool has 100 pages, 60 of them free.
func TestCrash(t *testing.T) {
	const (
		recorded = `{"node":0,"page_size_kib":2048,"pages":50}`
		intended = `{"node":0,"page_size_kib":2048,"pages":50,"before":%d}`
	)
	for name, test := range map[string]struct {
		ledger, host string
		phase        Phase // afterwards; "": no claim
		pages, given int64
	}{
		"before the write":               {ledger: dead(Pending, fmt.Sprintf(intended, 100)), pages: 100},
		"after a part of it":             {ledger: dead(Pending, fmt.Sprintf(intended, 70)), pages: 70, given: 30},
		"after the write":                {ledger: dead(Pending, fmt.Sprintf(intended, 50)), pages: 50, given: 50},
		"others have added more":         {ledger: dead(Pending, fmt.Sprintf(intended, 10)), pages: 50, given: 50},
		"others have taken pages out":    {ledger: dead(Pending, fmt.Sprintf(intended, 300)), pages: 100},
		"after the record":               {ledger: dead(Pending, recorded), pages: 50, given: 50},
		"in a second pool":               {ledger: dead(Pending, `{"node":0,"page_size_kib":2048,"pages":10},`+fmt.Sprintf(intended, 95)), pages: 85, given: 15},
		"the guest has started":          {ledger: dead(Pending, recorded), host: qemu(700, web1), phase: InUse, pages: 100},
		"the owner still works on it":    {ledger: dead(Pending, fmt.Sprintf(intended, 50)), host: process(600, 5), phase: Pending, pages: 100},
		"the owner's pid is another's":   {ledger: dead(Pending, recorded), host: process(600, 6), pages: 50, given: 50},
		"the guest runs":                 {ledger: dead(InUse, recorded), host: qemu(700, web1), phase: InUse, pages: 100},
		"the guest is gone":              {ledger: dead(InUse, recorded), pages: 50, given: 50},
		"another guest runs":             {ledger: dead(InUse, recorded), host: qemu(700, db1), pages: 50, given: 50},
		"others use most of the pages":   {ledger: dead(InUse, recorded), host: "-- pools --\nall 2048 100 8 0 0 0\n0 2048 100 8 0\n", phase: Owed, pages: 92, given: 8},
		"others gave back what was owed": {ledger: dead(Owed, recorded), pages: 50, given: 50},
		"owed, and the guest runs again": {ledger: dead(Owed, recorded), host: qemu(700, web1), pages: 50, given: 50},
		"nothing was ever added":         {ledger: dead(InUse, ""), pages: 100},
		"a node that is gone":            {ledger: dead(InUse, `{"node":5,"page_size_kib":2048,"pages":50}`), phase: Owed, pages: 100},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, oneNode, test.host, onDisk(test.ledger))
			shown, err := ReadClaims(root)
			must(t, err)
			l := open(t, root)
			phase := Phase("")
			if len(l.Claims()) > 0 {
				phase = l.Claims()[0].Phase
			}
			if phase != test.phase || nr(t, root, 0, 2048) != test.pages {
				t.Errorf("phase %q with %d pages, not %q with %d", phase, nr(t, root, 0, 2048), test.phase, test.pages)
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
			if test.phase == "" {
				phase = Owed
			}
			if len(shown) != 1 || shown[0].Phase != phase {
				t.Errorf("shown as %+v", shown)
			}
			waiting := len(Claimed(shown, "")) > 0
			if waiting != (test.phase == Pending) {
				t.Errorf("counted as waiting for pages: %v", waiting)
			}
			// A second run finds nothing more to do.
			l.Close()
			open(t, root)
			if nr(t, root, 0, 2048) != test.pages && test.phase != Owed {
				t.Errorf("the second run changed it to %d pages", nr(t, root, 0, 2048))
			}
		})
	}
}

func TestUnusableLedger(t *testing.T) {
	const grant = `{"node":0,"page_size_kib":2048,"pages":50}`
	for name, test := range map[string]struct{ text, aside string }{
		"broken JSON":    {`{"version":1,"boot_id":"1111`, "unexpected end of JSON input"},
		"empty":          {"", "unexpected end of JSON input"},
		"later version":  {`{"version":2,"boot_id":"` + bootID1 + `","claims":{}}`, "version 2"},
		"no version":     {`{}`, "version 0"},
		"wrong shape":    {`{"version":1,"claims":[{"uuid":5}]}`, "cannot unmarshal"},
		"absurd number":  {`{"version":1,"claims":[{"grants":[{"pages":1e300}]}]}`, "cannot unmarshal"},
		"absurd size":    {`{"version":1,"claims":[{"grants":[{"page_size_kib":9223372036854775807}]}]}`, "no page size"},
		"something else": {`[1,2]`, "cannot unmarshal"},
		"another boot":   {`{"version":1,"boot_id":"another","claims":[` + dead(InUse, grant) + `]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, oneNode, us())
			write(t, root.Path("run", "vmhuge", "ledger.json"), test.text)
			if claims, err := ReadClaims(root); err != nil || len(claims) != 0 {
				t.Errorf("shown: %v, %v", claims, err)
			}
			l := open(t, root)
			if len(l.Claims()) != 0 || nr(t, root, 0, 2048) != 100 {
				t.Errorf("%v, %d pages", l.Claims(), nr(t, root, 0, 2048))
			}
			aside := root.Path("run", "vmhuge", "ledger.set-aside")
			if test.aside == "" {
				if l.SetAside != "" {
					t.Error(l.SetAside)
				}
			} else if text, err := os.ReadFile(aside); err != nil || string(text) != test.text || !strings.Contains(l.SetAside, test.aside) || !strings.HasSuffix(l.SetAside, aside) {
				t.Errorf("%q: %q, %v", l.SetAside, text, err)
			}
			// It goes on from there.
			must(t, l.Begin(db1, "db1", totals(7)))
			l.Close()
			if l = open(t, root); len(l.Claims()) != 1 || l.SetAside != "" {
				t.Errorf("next time: %v, %s", l.Claims(), l.SetAside)
			}
		})
	}
}

// A ledger is not for everybody to write, and for everybody to read.
func TestLedgerMode(t *testing.T) {
	root := fixture(t, oneNode, us())
	must(t, open(t, root).Begin(web1, "web1", nil))
	info, err := os.Stat(root.Path("run", "vmhuge", "ledger.json"))
	must(t, err)
	if info.Mode().Perm() != 0o644 {
		t.Error(info.Mode())
	}
	entries, err := os.ReadDir(root.Path("run", "vmhuge"))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: not the ledger and the lock", entries, err)
	}
}

func TestLedgerJSON(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Begin(web1, "web1", totals(90)))
	must(t, l.Grow(t.Context(), web1, []Need{{Size: pages.Size2MiB, Pages: 20}}, Effort{}))
	text, err := root.Read("run", "vmhuge", "ledger.json")
	must(t, err)
	want := fmt.Sprintf(`{"version":1,"boot_id":%q,"claims":[{"uuid":%q,"name":"web1","phase":"pending","owner":{"pid":%d,"start":77},"totals":[{"page_size_kib":2048,"pages":90,"memory_kib":184320}],"grants":[{"node":0,"page_size_kib":2048,"pages":20}]}]}`,
		bootID1, web1, os.Getpid())
	if text != want || !json.Valid([]byte(text)) {
		t.Errorf("%s\nnot\n%s", text, want)
	}
}
