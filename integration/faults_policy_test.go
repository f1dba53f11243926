package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
)

// grows is a guest of 64 pages that may get more.
func grows(also string) guest {
	return guest{memory: growingMemory, backing: pages2M, more: growingCell + also}
}

// policyFaults are of what vmhuge holds back, for a program (prepare --for), for a guest that does
// not run (enable --keep) and for the growth of one (--reserve-growth), and of what it does instead
// where pages are short (--if-short). The kernel knows nothing of these, and lets virsh start a guest
// on such pages: the start that check's verdict is of is that by vmhuge, on a host with nothing to
// spare for its pools.
var policyFaults = []fault{
	// For a program.
	{name: "reserved-for-a-program", pages: 48, setup: reservedFor(16), verdict: hostprep.Ready},
	{name: "reserved-for-a-program-one-short", pages: 47, setup: reservedFor(16), verdict: hostprep.NoMemory, mends: true},
	{name: "reserved-for-a-program-that-has-a-part", pages: 48, setup: all(used(0, size2M, 5), reserve(1), reservedFor(16)), verdict: hostprep.Ready},
	{name: "reserved-for-a-program-that-has-a-part-one-short", pages: 47, setup: all(used(0, size2M, 5), reserve(1), reservedFor(16)), verdict: hostprep.NoMemory, mends: true},
	{name: "reserved-beside-a-guest", pages: 48, setup: all(claimed, reservedFor(16)), verdict: hostprep.Ready},
	{name: "reserved-beside-a-guest-one-short", pages: 47, setup: all(claimed, reservedFor(16)), verdict: hostprep.NoMemory, mends: true},

	// For a guest that does not run, be it another one or this.
	{name: "kept-for-a-guest", pages: 48, setup: keptFor(16), verdict: hostprep.Ready},
	{name: "kept-for-a-guest-one-short", pages: 47, setup: keptFor(16), verdict: hostprep.NoMemory, mends: true},
	{name: "kept-for-a-guest-beside-a-program", pages: 64, setup: all(keptFor(16), reservedFor(16)), verdict: hostprep.Ready},
	{name: "kept-for-a-guest-beside-a-program-one-short", pages: 63, setup: all(keptFor(16), reservedFor(16)), verdict: hostprep.NoMemory, mends: true},
	{name: "kept-for-itself", before: kept, after: disabled, verdict: hostprep.Ready},
	{name: "kept-for-itself-beside-a-program", pages: 48, setup: reservedFor(16), before: kept, after: disabled, verdict: hostprep.Ready},
	{name: "kept-for-itself-and-grown", pages: 48, before: keptAndGrown, after: disabled, verdict: hostprep.Ready},
	{name: "kept-for-itself-and-grown-one-short", pages: 47, before: keptAndGrown, after: disabled, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},

	// For growth, be it of another guest or of this.
	{name: "growth-of-a-guest", pages: 48, setup: growthReserved(16), verdict: hostprep.Ready},
	{name: "growth-of-a-guest-one-short", pages: 47, setup: growthReserved(16), verdict: hostprep.NoMemory, mends: true},
	{name: "growth-of-its-own", pages: 96, guest: grows(""), before: reservesGrowth, after: disabled, verdict: hostprep.Ready},
	{name: "growth-of-its-own-one-short", pages: 95, guest: grows(""), before: reservesGrowth, after: disabled, verdict: hostprep.NoMemory, mends: true},
	{name: "growth-of-its-own-beside-kept-pages", pages: 112, setup: keptFor(16), guest: grows(""), before: reservesGrowth, after: disabled, verdict: hostprep.Ready},
	{name: "growth-of-its-own-beside-kept-pages-one-short", pages: 111, setup: keptFor(16), guest: grows(""), before: reservesGrowth, after: disabled, verdict: hostprep.NoMemory, mends: true},

	// Other pages where its own are short. check's verdict is that of a start on its own.
	{name: "if-short-thp-enough", before: ifShort("thp"), after: disabled, verdict: hostprep.Ready},
	{name: "if-short-thp-one-short", pages: 31, before: ifShort("thp"), after: disabled, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true, instead: pages.THP},
	{name: "if-short-thp-beside-kept-pages", pages: 48, setup: keptFor(16), before: ifShort("thp"), after: disabled, verdict: hostprep.Ready},
	{name: "if-short-thp-beside-kept-pages-one-short", pages: 47, setup: keptFor(16), before: ifShort("thp"), after: disabled, verdict: hostprep.NoMemory, mends: true, instead: pages.THP},
}

// kept has the guest run, and its pages kept for it.
func kept(t *testing.T, dom *libvirt.Domain) {
	done(t, "enable", nameOf(t, dom), "--keep", "always")
	done(t, "start", "--paused", nameOf(t, dom))
	stopNow(t, nameOf(t, dom))
}

// keptAndGrown then gives it 16 pages more.
func keptAndGrown(t *testing.T, dom *libvirt.Domain) {
	kept(t, dom)
	if _, err := libvirtd.conn.DomainDefineXML(strings.ReplaceAll(definition(t, dom), ">65536<", ">98304<")); err != nil {
		t.Fatal(err)
	}
}

func reservesGrowth(t *testing.T, dom *libvirt.Domain) {
	done(t, "enable", nameOf(t, dom), "--reserve-growth", "64M")
}

// ofPolicies are faults of what vmhuge holds back.
func ofPolicies(faults []fault) []fault {
	faults = slices.Clone(faults)
	for i := range faults {
		faults[i].policy = true
	}
	return faults
}

// withNothingToSpare holds plan and vmhuge start to check's verdict on a host whose pools can't
// grow, and the pools to be as before.
func (f fault) withNothingToSpare(t *testing.T) {
	t.Helper()
	const reserve = "64T"
	before, code := readTestPools(t), map[hostprep.Verdict]int{hostprep.Ready: 0, hostprep.NoMemory: 4}[f.verdict]
	if r := vmhuge(t, "plan", f.guest.name, "--host-reserve", reserve); r.Code != code {
		t.Errorf("check says %s, and plan: %+v", f.verdict, r)
	}
	if f.instead != "" {
		code = 0
	}
	r := report(t, code, "start", "--paused", f.guest.name, "--host-reserve", reserve)
	if code == 0 && (f.instead == "") != (r.InsteadOf == nil) || f.instead != "" && r.Backing != f.instead {
		t.Errorf("it is started on %s instead of %v, not on %q", r.Backing, r.InsteadOf, f.instead)
	}
	if code == 0 {
		stopNow(t, f.guest.name)
	}
	if diff := cmp.Diff(before, readTestPools(t)); diff != "" {
		t.Errorf("the pools are not as before: %s", diff)
	}
}
