package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
)

// TestStartIfShort starts guests on other pages, as the host may not make those that their
// definitions ask for. The definition stays, whether the start succeeds or not.
func TestStartIfShort(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	dom := define(t, guest{backing: pages2M + "<allocation mode='immediate'/>"})
	name, before := nameOf(t, dom), definition(t, dom)
	noRoom := []string{"start", "--host-reserve", "1T", name}
	same := func() {
		t.Helper()
		if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
			t.Errorf("its definition changed: %s", diff)
		}
	}

	refused(t, 2, []string{"--if-short must be fail, thp or a page size"}, append(noRoom, "--if-short", "small")...)
	for _, other := range []string{"fail", "2M"} {
		if r := report(t, 4, append(noRoom, "--if-short", other)...); r.Verdict != hostprep.NoMemory || r.InsteadOf != nil {
			t.Errorf("--if-short %s: %+v", other, r)
		}
	}

	broken := define(t, guest{name: domainName(t) + "-2", backing: pages2M, devices: "<disk type='file'><source file='/nowhere/there.img'/><target dev='sda'/></disk>"})
	kept := definition(t, broken)
	r := vmhuge(t, "start", "--host-reserve", "1T", "--if-short", "thp", nameOf(t, broken))
	if r.Code != 1 || !strings.Contains(r.Stderr, "there.img") {
		t.Errorf("beside a disk that is missing: %d, %s", r.Code, r.Stderr)
	}
	if diff := cmp.Diff(kept, definition(t, broken)); diff != "" {
		t.Errorf("its definition changed: %s", diff)
	}

	instead := report(t, 0, append(noRoom, "--if-short", "thp")...)
	if instead.Backing != pages.THP || instead.Proof == nil || instead.Proof.Hugetlb() != 0 || instead.Proof.Verdict == proof.AllHuge && instead.Proof.THPKiB == 0 {
		t.Errorf("on transparent huge pages: %+v", instead)
	}
	if want := []pages.Total{{PageSize: pages.Size2MiB, Pages: 32, MemoryKiB: 64 << 10}}; !cmp.Equal(want, instead.InsteadOf) {
		t.Errorf("instead of %v, want %v", instead.InsteadOf, want)
	}
	if f := instead.Findings[0]; f.Severity != hostprep.Warning || !strings.Contains(f.Do, "for this start only") {
		t.Errorf("it says %+v", f)
	}
	same()
	if persistent, err := dom.IsPersistent(); err != nil || !persistent {
		t.Errorf("persistent: %t, %v", persistent, err)
	}
	if left, _ := filepath.Glob("/run/vmhuge/claims/*"); len(left) > 0 {
		t.Errorf("the ledger has %v", left)
	}
	done(t, "stop", "--force", "--timeout", "0s", name)
	same()
	if total := readTestPools(t)[size2M].Nodes[0].Total; total != 0 {
		t.Errorf("%d pages are left", total)
	}
	if r := report(t, 0, "start", name); r.Backing != pages.Hugetlb || r.Proof.Verdict != proof.AllHuge {
		t.Errorf("the next start: %+v", r)
	}
	done(t, "stop", "--force", "--timeout", "0s", name)
}

// startOn2MIfShortOf1G starts a guest for pages of 1 GiB, which another program has.
func startOn2MIfShortOf1G(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 512)
	dom := define(t, guest{memory: "<memory unit='GiB'>1</memory>", backing: pages1G})
	name, before := nameOf(t, dom), definition(t, dom)
	use(t, 0, size1G, readTestPools(t)[size1G].Nodes[0].Free)
	r := report(t, 0, "start", "--no-prepare", "--if-short", "2M", name)
	if got := r.Proof.HugetlbKiB["2048"]; got != pages.GiB/pages.KiB || r.InsteadOf[0].PageSize != pages.Size1GiB {
		t.Errorf("%d KiB on pages of 2 MiB, instead of %v", got, r.InsteadOf)
	}
	done(t, "stop", "--force", "--timeout", "0s", name)
	if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
		t.Errorf("its definition changed: %s", diff)
	}
}
