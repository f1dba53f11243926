package live

import (
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/hostfs"
	"vmhuge/launcher"
	"vmhuge/picture"
	"vmhuge/top"
)

// source reads libvirt's test driver, which runs in the process and has one
// domain, and a host without anything.
func source(t *testing.T) *Source {
	t.Helper()
	return &Source{Host: host.Host{Root: hostfs.Root(t.TempDir())}, URI: "test:///default", Words: Words{
		Line:    func(text string) string { return strings.ReplaceAll(text, "\n", " ") },
		Stopped: func(s launcher.Stopped) string { return s.Name + " stopped" },
	}}
}

// An error is told in a line, and the connection that made it is not kept: the
// next reading tries a new one.
func TestGuestsUnknown(t *testing.T) {
	s := source(t)
	for _, uri := range []string{"test:///default", "test:///no\nsuch"} { // the first connects, but is not a QEMU host
		s.URI = uri
		guests, err := s.View(t.Context()).Guests()
		if err == nil || strings.Contains(err.Error(), "\n") || len(guests) > 0 || s.guests != nil {
			t.Errorf("%s: %v, %q", uri, guests, err)
		}
	}
}

// What a stop would do is said without touching the guest, and an action that
// outlives the view is told of.
func TestActions(t *testing.T) {
	s := source(t)
	var late []error
	s.Late = func(_ string, err error) { late = append(late, err) }
	view := s.View(t.Context())
	guest := top.Guest{UUID: "6695db1b-9c81-4b0d-b4a5-8c7d7e1d4c4e", Active: true, Guest: picture.Guest{Name: "web1", GivenBackBy: "hook"}}
	if lines, err := view.Plan(top.Stop, guest); err != nil || len(lines) != 2 {
		t.Errorf("%q, %v", lines, err)
	}
	if _, err := view.Do(top.Stop, guest, func(string) {}); err == nil || len(late) > 0 {
		t.Errorf("told twice: %v, %v", late, err)
	}
	s.Finish(func() { t.Error("waits for nothing") })
	if _, err := view.Do(top.Stop, guest, func(string) {}); err == nil || len(late) != 1 {
		t.Errorf("told late: %v, %v", late, err)
	}
}

func TestPictures(t *testing.T) {
	pools := Pools([]launcher.PoolStatus{{Pool: pool.Pool{Node: 0}, Reserved: 5}, {Pool: pool.Pool{Node: 1}, Reserved: 5}, {Pool: pool.Pool{Node: -1}, Reserved: 7}})
	if pools[0].Reserved != -1 || pools[1].Reserved != -1 || pools[2].Reserved != 7 || pools[0].CouldMake != -1 {
		t.Errorf("what is reserved the kernel counts over both nodes: %+v", pools)
	}
	guests := Guests([]launcher.DomainStatus{{Name: "idle"}, {Name: "lost", ProofUnknown: "run as root"},
		{Name: "web1", Proof: &proof.Proof{BackedPercent: 62.5, ByNode: map[string]int64{"1": 1, "0": 1}}}})
	if guests[0].Percent != -1 || guests[1].Percent != -2 || guests[2].Percent != 62.5 || guests[2].Nodes != "0-1" {
		t.Errorf("%+v", guests)
	}
}
