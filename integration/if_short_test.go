package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
)

// TestStartIfShort starts guests on other pages, as the host may not make those that their
// definitions ask for. The definition stays, whether the start succeeds or not.
func TestStartIfShort(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "madvise")
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

// enableIfShort notes in the definition what a guest is started on. check, status and plan
// foresee it, start does it, and disable takes it back. Others have the pages of 1 GiB, and
// the host has no memory for one more.
func enableIfShort(t *testing.T) {
	hostAsBefore(t)
	memory, err := host.Host{Root: "/"}.Meminfo()
	if err != nil {
		t.Fatal(err)
	}
	setPages(t, 0, size2M, int((memory.Available-1900*pages.MiB)/int64(pages.Size2MiB))) // the host keeps 2 GiB
	dom := define(t, guest{memory: "<memory unit='GiB'>1</memory>"})
	use(t, 0, size1G, readTestPools(t)[size1G].Nodes[0].Free)
	name, before := nameOf(t, dom), definition(t, dom)
	refused(t, 2, []string{"--if-short must be fail, thp or a page size"}, "enable", name, "--if-short", "small")
	refused(t, 2, []string{"--thp and --if-short cannot be combined"}, "enable", name, "--thp", "--if-short", "thp")
	refused(t, 1, []string{"it has no pages larger than 2 MiB"}, "enable", name, "--if-short", "2M")
	for other, on := range map[string]pages.Backing{"thp": pages.THP, "2M": pages.Hugetlb} {
		done(t, "enable", name, "--size", "1G", "--if-short", other)
		if !strings.Contains(definition(t, dom), `if-short="`+other+`"`) {
			t.Errorf("its definition does not say so:\n%s", definition(t, dom))
		}
		foreseen(t, name, on)
		r := report(t, 0, "start", "--paused", name)
		if r.Backing != on || r.InsteadOf == nil || on == pages.Hugetlb && r.Proof.HugetlbKiB["2048"] != pages.GiB/pages.KiB {
			t.Errorf("%s: %+v", other, r)
		}
		done(t, "stop", "--force", "--timeout", "0s", name)
	}
	if r := report(t, 4, "start", "--if-short", "fail", name); r.Active() || r.InsteadOf != nil {
		t.Errorf("against the definition: %+v", r)
	}
	done(t, "disable", name)
	if after := definition(t, dom); after != before {
		t.Errorf("its definition was\n%s\nand is\n%s", before, after)
	}
}

// foreseen holds check, status and plan to a guest's policy on shortage.
func foreseen(t *testing.T, name string, on pages.Backing) {
	t.Helper()
	r := report(t, 4, "check", name)
	if r.Verdict != hostprep.NoMemory || r.Ready || !r.Fixable || r.Instead == nil || r.Instead.Backing != on || !r.Instead.Starts {
		t.Errorf("check: %+v", r)
	}
	plans := ": fits, but not on the "
	if on == pages.THP {
		plans = ": does not fit" // in ordinary memory, of which the host keeps the rest
	}
	for command, want := range map[string]string{"check": "vmhuge start would start it on ", "status": name + ": vmhuge start puts it on ", "plan": name + plans} {
		if r := vmhuge(t, command, name); !strings.Contains(r.Stdout, want) {
			t.Errorf("%s does not say %q:\n%s", command, want, r.Stdout)
		}
	}
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
