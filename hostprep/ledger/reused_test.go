package ledger

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"vmhuge/hostprep/lock"
)

// Every run of vmhuge sees that the pid of a guest that is gone is another's now: it need
// not look at command lines for that.
func TestReusedPID(t *testing.T) {
	const grant = `{"node":0,"page_size_kib":2048,"pages":50}`
	for name, row := range map[string]struct {
		host, files string
		pages       int64
	}{
		"its own QEMU":      {qemu(700, web1), web1 + ".700", 100},
		"another program":   {stat(700, 90) + "-- proc/700/cmdline --\n/usr/bin/vim\n", "", 50},
		"one of the kernel": {stat(700, 90), "", 50},
		"another guest":     {qemu(700, db1), db1 + ".700", 50},
	} {
		root := fixture(t, oneNode, row.host, onDisk(web1+".700", dead(grant)))
		if name == "another guest" {
			write(t, root.Path("run/vmhuge/claims", db1+".700"), strings.ReplaceAll(dead(""), web1, db1))
		}
		open(t, root).Close()
		if got := strings.Join(files(t, root), " "); got != row.files || nr(t, root, 0, 2048) != row.pages {
			t.Errorf("%s: %q with %d pages, not %q with %d", name, got, nr(t, root, 0, 2048), row.files, row.pages)
		}
	}
}

// A vmhuge that is older than the one that wrote a claim goes by what it knows of it, and
// keeps the rest, for both may run at once.
func TestClaimWithMore(t *testing.T) {
	const grant = `{"node":0,"page_size_kib":2048,"pages":50,"colour":"red"}`
	text := strings.Replace(dead(grant), `"version":1`, `"version":1,"later":{"x":[1]}`, 1)
	if !strings.Contains(text, "later") {
		t.Fatal(text)
	}
	root := fixture(t, oneNode, qemu(700, web1), onDisk(web1+".700", text))
	l := open(t, root)
	if len(l.claims) != 1 || len(l.SetAside) > 0 {
		t.Errorf("%v %v", l.claims, l.SetAside)
	}
	for _, rewrite := range []func() error{
		func() error { return l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(90)}) },
		func() error { return l.save(0, l.claims[0]) },
		func() error { return l.Started(web1) },
	} {
		must(t, rewrite())
		if text, err := os.ReadFile(l.path(l.claims[0].fileName())); err != nil || !strings.Contains(string(text), `"later":{"x":[1]}`) {
			t.Errorf("%v %s", err, text)
		}
	}
	given, _, err := l.Release(web1)
	if err != nil || given != 50*2<<20 || nr(t, root, 0, 2048) != 50 {
		t.Errorf("%d %v", given, err)
	}
}

// TestReservationWithMore is TestClaimWithMore for a reservation that is changed.
func TestReservationWithMore(t *testing.T) {
	root := fixture(t, oneNode, us())
	l := open(t, root)
	must(t, l.Reserve("ovs", takes(5)))
	path := l.path(l.claims[0].fileName())
	text, err := os.ReadFile(path)
	must(t, err)
	write(t, path, strings.Replace(string(text), `{"version"`, `{"later":7,"version"`, 1))
	must(t, l.Reserve("ovs", takes(6)))
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), `"later":7`) || !strings.Contains(string(text), `"pages":6`) {
		t.Errorf("%v %s", err, text)
	}
	write(t, path, "{")
	must(t, l.Reserve("ovs", takes(7)))
	if got := l.Reserved("ovs"); len(got) != 1 || got[0].Pages != 7 || len(l.SetAside) != 1 {
		t.Errorf("%+v, %q", got, l.SetAside)
	}
}

// Fifty hooks that come at once all get the lock, long before libvirt would be told that
// they did not.
func TestLockOfFifty(t *testing.T) {
	root := fixture(t, oneNode, us())
	open(t, root).Close() // it makes the folder
	waits := make([]time.Duration, 50)
	var all sync.WaitGroup
	for i := range waits {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			began := time.Now()
			f, err := lock.Take(ctx, root)
			waits[i] = time.Since(began)
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(10 * time.Millisecond) // longer than a hook needs it
			f.Close()
		})
	}
	all.Wait()
	for _, wait := range waits {
		if wait > 15*time.Second {
			t.Errorf("one waited for %s", wait)
		}
	}
}
