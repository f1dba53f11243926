package integration

import (
	"strings"
	"testing"

	"vmhuge/hostprep"
)

// reserveGrowth starts a guest of 64 pages, by vmhuge and by virsh with the hook, with 32 more
// for its growth: no other guest gets them, vmhuge memory takes them, and they end with it.
func reserveGrowth(t *testing.T) {
	hostAsBefore(t)
	g := inPool(t, 0)
	installHook(t)
	dom := define(t, guest{memory: growingMemory, backing: pages2M, more: growingCell})
	g.dom = dom
	name, before := nameOf(t, dom), definition(t, dom)
	other := nameOf(t, define(t, guest{name: domainName(t) + "-other", backing: pages2M}))
	fixed := nameOf(t, define(t, guest{name: domainName(t) + "-fixed", backing: pages2M}))
	refused(t, 2, []string{"--reserve-growth must be an amount of memory"}, "enable", name, "--reserve-growth", "much")
	refused(t, 1, []string{"has room for 896 MiB more, not for 1 GiB"}, "enable", name, "--reserve-growth", "1G")
	refused(t, 1, []string{"it has no <maxMemory>"}, "enable", fixed, "--reserve-growth", "64M")
	refused(t, 1, []string{"not a multiple of its pages of 2 MiB"}, "enable", name, "--reserve-growth", "63M")
	done(t, "enable", name, "--reserve-growth", "64M")
	if r := report(t, 4, "start", "--host-reserve", "1T", "--paused", name); r.Verdict != hostprep.NoMemory {
		t.Errorf("%+v", r)
	}
	for by, start := range map[string]func(){"vmhuge": func() { done(t, "start", "--paused", name) }, "the hook": func() { startPaused(t, dom) }} {
		start()
		g.has(96, 64)
		done(t, "status")
		g.has(96, 64)
		if r := done(t, "status"); !strings.Contains(r.Stdout, "reserved: 32 pages of 2 MiB for "+name+", by which it can grow") {
			t.Errorf("%s: %s", by, r.Stdout)
		}
		if r := done(t, "check", name); !strings.Contains(r.Stdout, "32 pages of 2 MiB are reserved for that") {
			t.Errorf("%s: %s", by, r.Stdout)
		}
		short := report(t, 4, "start", "--host-reserve", "1T", "--paused", other)
		if f := short.Findings[0]; short.Verdict != hostprep.NoMemory || !strings.Contains(f.Have, "32 of them reserved for the guest "+name) {
			t.Errorf("%s: %+v", by, short.Findings)
		}
		if r := vmhuge(t, "plan", other); !strings.Contains(r.Stdout, "reserved: 32 pages of 2 MiB for "+name) {
			t.Errorf("%s: %s", by, r.Stdout)
		}
		// The host keeps so much that only what is reserved can be had.
		if r, code := resized(t, name, "+64M", "--host-reserve", "1T"); code != 0 || !r.Done || r.Proof == nil || r.Proof.Hugetlb() != 192<<10 {
			t.Errorf("%s: %d, %+v", by, code, r)
		}
		g.has(96, 96)
		if r, code := resized(t, name, "+64M", "--host-reserve", "1T"); code != 4 {
			t.Errorf("%s: %d, %+v", by, code, r)
		}
		g.has(96, 96)
		destroy(t, dom)
		done(t, "status")
		if n := g.pool(); n != 0 {
			t.Errorf("%s: %d pages are left", by, n)
		}
		wantClaims(t)
	}
	done(t, "disable", name)
	if after := definition(t, dom); after != before {
		t.Errorf("its definition was\n%s\nand is\n%s", before, after)
	}
}
