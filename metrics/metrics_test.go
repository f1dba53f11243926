package metrics

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"vmhuge/hostprep"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
)

var update = flag.Bool("update", false, "write testdata anew")

// host is a host with something of everything.
func host(t *testing.T) Sources {
	owed := ledger.Claim{Name: "db1", Phase: ledger.Owed, Grants: []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 3}}, Armed: []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 7}}}
	return Sources{
		Pools: func() (pool.State, error) {
			return pool.State{
				Globals: []pool.Global{{Size: pages.Size2MiB, Total: 100, Free: 40, Reserved: 8, Surplus: 2, Overcommit: 16}},
				Pools:   []pool.Pool{{Node: 0, Size: pages.Size2MiB, Total: 60, Free: 40}, {Node: 1, Size: pages.Size2MiB, Total: 40, Surplus: 2}},
			}, nil
		},
		Memory: func() (Memory, error) {
			return Memory{Total: 1000 * pages.MiB, Available: 500 * pages.MiB, Reserve: 100 * pages.MiB, Headroom: 400 * pages.MiB, Area: 300 * pages.MiB, AreaFree: 200 * pages.MiB,
				CouldMake: []CouldMake{{0, pages.Size2MiB, hostprep.CouldMake{Now: 70, Compacted: 90}}},
				Pools:     pool.State{Globals: []pool.Global{{Size: pages.Size2MiB, Total: 100, Free: 40, Reserved: 8}, {Size: pages.Size1GiB, Total: 1, Free: 1}}}}, nil
		},
		Claims: func() ([]ledger.Claim, error) {
			return []ledger.Claim{owed, owed, // of two guests of the same name
				{Name: "ovs", Phase: ledger.Reserved, Takes: []pool.Take{{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 6}}},
				{Name: "web1", Phase: ledger.InUse, Grants: []pool.Grant{{Node: 1, Size: pages.Size2MiB, Pages: 20}}, Armed: []pool.Grant{{Node: 1, Size: pages.Size2MiB, Pages: 5}}}}, nil
		},
		Guests: func() ([]Guest, error) {
			return []Guest{
				{Name: "web1", UUID: "6695eb01-f6a4-8304-79aa-97f2502e193f", Running: true, Backing: pages.Hugetlb, Demand: []pages.Total{{PageSize: pages.Size2MiB, Pages: 60}},
					Proof: &proof.Proof{RAMKiB: 200 * 1024, HugetlbKiB: map[string]int64{"2048": 120 * 1024}, THPKiB: 20 * 1024, ReservedKiB: 10 * 1024, SmallKiB: 50 * 1024, UntouchedKiB: 15 * 1024}},
				{Name: "odd\xff\"\n", Backing: pages.None},
			}, errors.New("mail1 could not be read")
		},
		Hook: func() (Hook, error) {
			return Hook{hook.Status{Installed: true}, []hook.Event{
				{Time: time.Unix(1700000000, 5e8), Operation: "prepare", Result: hook.Held, Microseconds: 3000},
				{Time: time.Unix(1700000001, 5e8), Operation: "prepare", Result: hook.Refused, Reason: hook.HostReserve, Microseconds: 40000},
			}}, nil
		},
		Failed: func(collector string, err error) {
			if collector != "guests" {
				t.Errorf("%s: %v", collector, err)
			}
		},
	}
}

func TestScrape(t *testing.T) {
	var text strings.Builder
	if err := New("v1.2.3", host(t)).WriteText(&text); err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.New(strings.NewReader(text.String())).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("the naming conventions: %v, %v", problems, err)
	}
	got := text.String()
	for varies, as := range map[string]string{`goversion="[^"]*"`: `goversion="go"`, `(scrape_duration_seconds{.*}) .*`: "$1 0.5"} {
		got = regexp.MustCompile(varies).ReplaceAllString(got, as)
	}
	path := filepath.Join("testdata", "scrape.prom")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestFailures lets everything fail: nothing is claimed of what is not known.
func TestFailures(t *testing.T) {
	no := errors.New("no")
	var mu sync.Mutex
	told := map[string]int{}
	e := New("", Sources{
		Pools:  func() (pool.State, error) { return pool.State{}, no },
		Memory: func() (Memory, error) { return Memory{}, no },
		Claims: func() ([]ledger.Claim, error) { return nil, no },
		Guests: func() ([]Guest, error) { return nil, no },
		Hook:   func() (Hook, error) { return Hook{}, no },
		Failed: func(collector string, err error) {
			mu.Lock()
			defer mu.Unlock()
			told[collector]++
		},
	})
	var text strings.Builder
	for range 2 { // the second is answered by what the first has read
		text.Reset()
		if err := e.WriteText(&text); err != nil {
			t.Fatal(err)
		}
	}
	known := regexp.MustCompile(`^(#|vmhuge_(build|scrape|hook_call|hook_refusals))`)
	for line := range strings.Lines(text.String()) {
		if !known.MatchString(line) {
			t.Errorf("it claims %s", line)
		}
	}
	for _, part := range []string{"pools", "claims", "guests", "hook"} {
		for _, want := range []string{`vmhuge_scrape_success{collector="` + part + `"} 0`, `vmhuge_scrape_errors_total{collector="` + part + `"} 1`} {
			if !strings.Contains(text.String(), want+"\n") {
				t.Errorf("no %s in\n%s", want, &text)
			}
		}
		if told[part] != 1 {
			t.Errorf("%s: told %d times", part, told[part])
		}
	}
}

// TestScrapesDoNotPileUp lets many scrape while a reading hangs.
func TestScrapesDoNotPileUp(t *testing.T) {
	calls, hang, told := 0, make(chan struct{}), 0
	r := &reading[int]{patience: time.Millisecond, failed: func(error) { told++ }, read: func() (int, error) {
		calls++
		<-hang
		return 42, nil
	}}
	var wait sync.WaitGroup
	for range 20 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if value, how := r.get(); value != 0 || !errors.Is(how.err, errHangs) {
				t.Errorf("%d, %+v", value, how)
			}
		}()
	}
	wait.Wait()
	r.mu.Lock()
	running := r.running
	r.mu.Unlock()
	close(hang)
	<-running
	for range 2 {
		if value, how := r.get(); value != 42 || how.err != nil || how.errors != 20 {
			t.Errorf("afterwards: %d, %+v", value, how)
		}
	}
	if calls != 1 || told != 1 {
		t.Errorf("read %d times, told %d times", calls, told)
	}
}

// TestHookCalls counts each call once while the log grows, turns, and is lost.
func TestHookCalls(t *testing.T) {
	at := func(seconds int64) hook.Event {
		return hook.Event{Time: time.Unix(seconds, 0), UUID: "u", Operation: "prepare", Result: hook.Held}
	}
	late := at(2) // it began before the one that is logged before it
	for name, logs := range map[string][][]hook.Event{
		"grows":   {{at(1)}, {at(1), at(3), late}, {at(1), at(3), late}, {at(1), at(3), late, at(5)}},
		"turns":   {{at(1), at(2), at(3)}, {at(3), at(4)}},
		"is lost": {{at(1), at(2), at(3)}, {}, {at(4)}},
		"skips":   {{at(1), at(2)}, {at(3), at(4)}},
		"is cut":  {{at(1), at(2), at(3)}, {at(1), at(2)}, {at(1), at(2), at(4)}},
	} {
		c := newHookCalls()
		for _, events := range logs {
			c.add(events)
		}
		if n := testutil.ToFloat64(c.count.WithLabelValues("prepare", "held")); n != 4 {
			t.Errorf("%s: %v calls", name, n)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"9981": "127.0.0.1:9981", ":9981": "127.0.0.1:9981", "0": "127.0.0.1:0", "127.0.0.2:1": "127.0.0.2:1",
		"0.0.0.0:9981": "0.0.0.0:9981", "[::]:9981": "[::]:9981", "localhost:80": "localhost:80",
		"": "", "localhost": "", "127.0.0.1": "", "1.2.3.4:http": "", "::1": "", "65536": "", "-1": "", "[::1]": "",
	} {
		if got, err := ParseAddress(text); got != want || (err == nil) == (want == "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestServe ends the server while a scrape waits: it is answered yet.
func TestServe(t *testing.T) {
	sources := host(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	sources.Pools = func() (pool.State, error) {
		close(asked)
		<-answer
		return pool.State{}, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- New("", sources).Serve(ctx, listener) }()
	page := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String() + "/metrics")
		if err != nil {
			page <- err.Error()
			return
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		page <- string(text)
	}()
	<-asked
	stop()
	for err == nil { // until it takes nobody new
		var conn net.Conn
		if conn, err = net.Dial("tcp", listener.Addr().String()); err == nil {
			conn.Close()
		}
	}
	close(answer)
	if text := <-page; !strings.Contains(text, "vmhuge_guest_running{") {
		t.Errorf("the last scrape: %s", text)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vmhuge.prom")
	if err := New("", host(t)).WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("beside it: %v", entries)
	}
}
