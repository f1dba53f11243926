package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	room "vmhuge/hostprep/collapse"
	"vmhuge/hostprep/proof"
	"vmhuge/launcher"
)

// collapsed is what vmhuge collapse says of a guest, and its exit code.
func collapsed(t *testing.T, domain string, flags ...string) (launcher.Collapsed, int) {
	t.Helper()
	r := vmhuge(t, append([]string{"collapse", domain, "--json"}, flags...)...)
	var answer struct{ Domains []launcher.Collapsed }
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Domains) != 1 {
		t.Fatalf("collapse: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	t.Logf("vmhuge collapse %s %v: exit code %d\n%s", domain, flags, r.Code, r.Stdout)
	return answer.Domains[0], r.Code
}

// TestCollapse makes the RAM of a guest huge that was started on small pages and runs,
// and the guest still hears its power button.
func TestCollapse(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "never")
	dom := define(t, guest{memory: "<memory unit='MiB'>128</memory>", boots: true})
	domain := nameOf(t, dom)
	if r := vmhuge(t, "collapse", domain); r.Code != 1 || !strings.Contains(r.Stderr, "collapsing "+domain+": it does not run; start it: vmhuge start "+domain) {
		t.Errorf("shut off: %+v", r)
	}
	if err := dom.Create(); err != nil {
		t.Fatal(err)
	}
	greeting(t, dom)

	if c, code := collapsed(t, domain, "--dry-run"); code != 0 || c.Percent != 100 || c.TryKiB != 128<<10 || c.Before.HugeKiB != 0 || c.Before.SmallKiB < 10<<10 {
		t.Errorf("dry run: %d, %+v", code, c)
	}
	if c, code := collapsed(t, domain, "--budget", "1ns"); code != 4 || c.Stopped != room.OutOfTime || c.Reached {
		t.Errorf("no time: %d, %+v", code, c)
	}
	if p, _ := verified(t, domain); p.THPKiB != 0 {
		t.Errorf("neither changes anything, and %d KiB are huge", p.THPKiB)
	}
	c, code := collapsed(t, domain, "--at-least", "99%")
	if code != 0 || !c.Reached || c.Percent < 99 || c.Before.HugeKiB != 0 || c.After.HugeKiB < c.Before.SmallKiB || c.After.ByNode["0"] == 0 || c.Stopped == room.OutOfTime {
		t.Errorf("%d, %+v", code, c)
	}
	if p, _ := verified(t, domain); p.THPKiB < c.After.HugeKiB {
		t.Errorf("verify finds %d KiB", p.THPKiB)
	}
	if c, code := collapsed(t, domain, "--node", "0", "--at-least", "99"); code != 0 || c.Percent < 99 || c.Node != 0 || c.TryKiB < c.After.HugeKiB {
		t.Errorf("node 0: %d, %+v", code, c)
	}
	if r := done(t, "collapse", domain); !strings.Contains(r.Stdout, " % of its RAM in use is on huge pages\n") {
		t.Errorf("%s", r.Stdout)
	}
	done(t, "stop", domain) // it hears the power button
}

// TestCollapsePreallocated has all of the RAM there, and verify then finds all of it huge.
func TestCollapsePreallocated(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "never")
	dom := define(t, guest{memory: "<memory unit='MiB'>64</memory>"})
	domain := nameOf(t, dom)
	done(t, "enable", domain, "--thp")
	startPaused(t, dom)
	if p, _ := verified(t, domain); p.Verdict != proof.NoHuge || !p.Preallocated {
		t.Errorf("before: %+v", p)
	}
	c, code := collapsed(t, domain, "--at-least", "100%")
	if p, proven := verified(t, domain); code != 0 || proven != 0 || c.Percent != 100 || c.After.HugeKiB != 64<<10 || p.Verdict != proof.AllHuge {
		t.Errorf("%d, %+v\n%d, %+v", code, c, proven, p)
	}
	destroy(t, dom)
	done(t, "disable", domain)
}

// TestCollapseUnaligned says of shared memory why it can't be collapsed.
func TestCollapseUnaligned(t *testing.T) {
	hostAsBefore(t)
	dom := define(t, guest{memory: "<memory unit='MiB'>64</memory>", backing: "<source type='memfd'/><access mode='shared'/><allocation mode='immediate'/>"})
	startPaused(t, dom)
	c, code := collapsed(t, nameOf(t, dom))
	if code != 4 || c.Reached || c.After.HugeKiB != 0 || !slices.Equal(c.Left, []room.Left{{Reason: room.Unaligned, KiB: 64 << 10}}) {
		t.Errorf("%d, %+v", code, c)
	}
	if r := vmhuge(t, "collapse", nameOf(t, dom), "-q"); r.Code != 4 || !strings.Contains(r.Stdout, "not collapsed: 64 MiB are not aligned to huge pages") {
		t.Errorf("%+v", r)
	}
}
