package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/plan"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

// recorded is the facts of so many hosts, as files of vmhuge facts one after another. Each
// third has the hook.
func recorded(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	for i := range n {
		f := Facts{Hostname: fmt.Sprint("host", i), Mounts: []host.Mount{{Point: "/dev/hugepages", Size: pages.Size2MiB}}}
		f.Hook.Ready = i%3 == 0
		f.Domains = []Domain{{Name: "old", UUID: fmt.Sprint("uuid", i), Verdict: hostprep.Running}}
		f.Host = plan.Host{TotalKiB: 512 << 20, AvailableKiB: 300 << 20, ReserveKiB: 8 << 20, SmallPage: 4096}
		for node := range 2 {
			f.Host.Nodes = append(f.Host.Nodes, plan.HostNode{Node: node, TotalKiB: 256 << 20, FreeKiB: 150 << 20})
		}
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		// A host's free pages: some have room for a guest, some do not.
		free := int64(i % 7 * 1024)
		pools := fmt.Sprintf(`"pools":[{"node":0,"page_size_kib":2048,"total":4096,"free":%d,"surplus":0},{"node":1,"page_size_kib":2048,"total":4096,"free":%d,"surplus":0}],"sums":[{"page_size_kib":2048,"total":8192,"free":%d,"reserved":0,"surplus":0,"overcommit":0}]`, free, free/2, free+free/2)
		text = bytes.Replace(text, []byte(`"pools":null,"sums":null`), []byte(pools), 1)
		b.Write(append(text, '\n'))
	}
	return b.Bytes()
}

// candidates are guests of different sizes, some of them bound to a node.
func candidates(n int) (guests []hostprep.Candidate) {
	for i := range n {
		g := guesttest.Takes(int64(512 * (1 + i%8)))
		if i%3 == 1 {
			g = guesttest.Bound(g, fmt.Sprint(i%2))
		}
		guests = append(guests, hostprep.Candidate{Name: fmt.Sprint("guest", i), Demand: g.Demand, Traits: g.Traits})
	}
	return guests
}

func sitesOf(t testing.TB, facts []byte) (sites []plan.Site) {
	t.Helper()
	hosts, err := ReadRecorded(bytes.NewReader(facts))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		sites = append(sites, h.Site)
	}
	return sites
}

func TestReadRecorded(t *testing.T) {
	hosts, err := ReadRecorded(bytes.NewReader(recorded(t, 3)))
	if err != nil || len(hosts) != 3 {
		t.Fatalf("%d hosts, %v", len(hosts), err)
	}
	h := hosts[1]
	if h.URI != "qemu+ssh://host1/system" || h.Name() != "host1" || h.Site.Grows || !hosts[0].Site.Grows || !slices.Equal(h.Site.Running, []string{"uuid1"}) {
		t.Errorf("%+v", h)
	}
	file := hostprep.Candidate{Demand: pages.Demand{Items: []pages.Item{{PageSize: pages.Size1GiB}}}}
	if why := h.Site.Bars(file); why != "no hugetlbfs is mounted for pages of 1 GiB" || hosts[0].Site.Bars(file) != "" {
		t.Errorf("%q", why)
	}
	file.Demand.Items[0].Source = "memfd"
	if why := h.Site.Bars(file); why != "" {
		t.Errorf("a memfd needs no mount: %q", why)
	}
	for text, want := range map[string]string{"{}": "object 1 has no hostname or no nodes", "nonsense": "invalid character", `{"hostname":"x"`: "unexpected EOF"} {
		if _, err := ReadRecorded(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSteps(t *testing.T) {
	to := Host{URI: "qemu+ssh://b/system"}
	for _, row := range []struct {
		runs         bool
		file, source string
		want         []string
	}{
		{false, "a b.xml", "", []string{"virsh -c qemu+ssh://b/system define --file 'a b.xml'", `virsh -c qemu+ssh://b/system start --domain 'x; reboot '\''y'`}},
		{true, "", "qemu:///system", []string{`virsh -c qemu:///system migrate --live --persistent --domain 'x; reboot '\''y' --desturi qemu+ssh://b/system`}},
		{false, "", "qemu:///system", []string{`virsh -c qemu:///system migrate --offline --persistent --domain 'x; reboot '\''y' --desturi qemu+ssh://b/system`, `virsh -c qemu+ssh://b/system start --domain 'x; reboot '\''y'`}},
		{false, "", to.URI, []string{`virsh -c qemu+ssh://b/system start --domain 'x; reboot '\''y'`}},
	} {
		if got := Steps(hostprep.Candidate{Name: "x; reboot 'y", Runs: row.runs}, row.file, row.source, to); !slices.Equal(got, row.want) {
			t.Errorf("%q", got)
		}
	}
}

func TestInventory(t *testing.T) {
	hosts := []Host{{URI: "qemu+ssh://root@a:22/system"}, {URI: "qemu:///system"}, {URI: "qemu+ssh://c/system"}}
	p := plan.Placement{Hosts: []plan.Filled{{Guests: []string{"web1", "db1"}}, {Guests: []string{"mail1"}}, {}}}
	inventory, err := Inventory(p, hosts)
	text, _ := json.Marshal(inventory)
	const want = `{"vmhuge":{"hosts":{"a":{"vmhuge_domains":["web1","db1"]},"localhost":{"vmhuge_domains":["mail1"],"ansible_connection":"local"}}}}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	p.Hosts[2].Guests = []string{"{{ lookup('pipe', 'id') }}"}
	if _, err := Inventory(p, hosts); err == nil || !strings.Contains(err.Error(), "Ansible would evaluate the name") {
		t.Errorf("%v", err)
	}
}

// One host that does not answer, and one that can't be reached, keep nobody waiting.
func TestAsk(t *testing.T) {
	_, err := within(10*time.Millisecond, "qemu+ssh://a/system", func() (int, error) { select {} })
	if err == nil || !strings.Contains(err.Error(), "it has not answered in 10ms") {
		t.Errorf("%v", err)
	}
	uris := []string{"qemu+unix:///system?socket=/nonexistent", "test:///default"}
	answers, errs := Ask(uris, func(d *launcher.Dest) (string, error) { return d.URI, nil })
	if errs[0] == nil || errs[1] == nil || answers[0] != "" { // the test driver has no pages
		t.Errorf("%v, %v", answers, errs)
	}
	if !strings.Contains(errors.Join(errs...).Error(), "connecting to qemu+unix") {
		t.Error(errs)
	}
}

func TestFactsOfAHost(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "two-nodes", "-- proc/sys/kernel/hostname --\nhost1\n")}
	f := ReadFacts(h, "qemu+unix:///system?socket=/nonexistent", "1.2.3")
	if f.Hostname != "host1" || f.Versions.VMHuge != "1.2.3" || f.DomainsErr == nil || f.HostErr != nil || len(f.Host.Nodes) != 2 || f.HeadroomKiB == 0 {
		t.Errorf("%+v", f)
	}
}

// Most are placed, none twice, and how long it takes bounds what a script waits for.
func TestPlaceMany(t *testing.T) {
	began := time.Now()
	p := plan.Place(sitesOf(t, recorded(t, 1000)), candidates(20), plan.Best)
	if !p.Fits || len(p.Guests) != 20 || time.Since(began) > 30*time.Second {
		t.Errorf("fits: %v, %d guests, in %v", p.Fits, len(p.Guests), time.Since(began))
	}
}

func BenchmarkPlace(b *testing.B) {
	facts, guests := recorded(b, 1000), candidates(20)
	for _, fit := range []plan.Fit{plan.First, plan.Best} {
		b.Run(string(fit)+"-1000x20", func(b *testing.B) {
			for b.Loop() {
				plan.Place(sitesOf(b, facts), guests, fit)
			}
		})
	}
	// The worst there is: 20 guests on each of 1000 hosts, until hardly one has room.
	many := candidates(20000)
	b.Run("first-1000x20000", func(b *testing.B) {
		for b.Loop() {
			plan.Place(sitesOf(b, facts), many, plan.First)
		}
	})
}
