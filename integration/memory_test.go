package integration

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/ledger"
	"vmhuge/launcher"
)

// growing is what a guest of 128 MiB needs to grow to 1 GiB.
const growingMemory = "<maxMemory slots='16' unit='GiB'>1</maxMemory><memory unit='MiB'>128</memory>"
const growingCell = "<cpu><numa><cell id='0' cpus='0' memory='128' unit='MiB'/></numa></cpu>"

// resized is what vmhuge memory says of a guest, and its exit code.
func resized(t *testing.T, domain string, args ...string) (launcher.Resized, int) {
	t.Helper()
	r := vmhuge(t, append([]string{"memory", "--json", domain}, args...)...)
	t.Logf("vmhuge memory %s %v: exit code %d\n%s%s", domain, args, r.Code, r.Stdout, r.Stderr)
	var answer struct {
		Domains []launcher.Resized
		Error   struct{ Why string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil {
		t.Fatalf("memory: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	if len(answer.Domains) == 0 {
		return launcher.Resized{Diff: answer.Error.Why}, r.Code
	}
	return answer.Domains[0], r.Code
}

// pool2M is how many pages of 2 MiB there are.
func pool2M(t *testing.T) int { return readTestPools(t)[size2M].Nodes[0].Total }

// growth is a guest that grows, in a pool that has pages of others, too.
type growth struct {
	t      *testing.T
	dom    *libvirt.Domain
	others int
}

// inPool starts from so many free pages.
func inPool(t *testing.T, n int) growth {
	t.Helper()
	setPages(t, 0, size2M, n)
	return growth{t: t, others: pool2M(t) - n}
}

// pausedToGrow is a guest of 64 pages without a system, in a pool of so many.
func pausedToGrow(t *testing.T, pages int) (g growth, name string) {
	t.Helper()
	hostAsBefore(t)
	g = inPool(t, pages)
	g.dom = define(t, guest{memory: growingMemory, backing: pages2M, more: growingCell})
	startPaused(t, g.dom)
	return g, nameOf(t, g.dom)
}

// pool is how many pages there are, without those that were there before the test.
func (g growth) pool() int { return pool2M(g.t) - g.others }

// has checks the pages in the pool and in the guest.
func (g growth) has(inPool, inGuest int) {
	g.t.Helper()
	if total, n := g.pool(), pagesOf(g.t, pidOf(g.t, g.dom))[size2M]; total != inPool || n != inGuest {
		g.t.Errorf("%d pages in the pool, %d in the guest; want %d, %d", total, n, inPool, inGuest)
	}
}

// TestMemoryRefused asks for what a guest can't get: nothing changes.
func TestMemoryRefused(t *testing.T) {
	hostAsBefore(t)
	g := inPool(t, 70)
	dom := define(t, guest{memory: growingMemory, backing: pages2M, more: growingCell})
	name := nameOf(t, dom)
	plain := define(t, guest{name: guestPrefix + "memory-fixed", backing: pages2M})
	if r, code := resized(t, name, "+64M"); code != 1 || r.Diff != "it does not run" {
		t.Errorf("%d, %s", code, r.Diff)
	}
	startPaused(t, dom)
	for _, row := range []struct {
		code int
		args []string
		want string
	}{
		{3, []string{"+3M"}, "not a multiple of its pages of 2 MiB"},
		{3, []string{"+2G"}, "its <maxMemory> of 1 GiB has room for 896 MiB more, not for 2 GiB"},
		{3, []string{"+64M", "--virtio-mem"}, "it has no virtio-mem device"},
		{3, []string{"+64M", "--guest-node", "1"}, "the guest has no node 1; it has 1"},
		{3, []string{"-64M"}, "it has no virtio-mem device that has plugged 64 MiB or more, and no DIMM"},
		{4, []string{"+64M", "--host-reserve", "64T"}, ""},
		{4, []string{"+64M", "--host-reserve", "64T", "--dry-run"}, ""},
	} {
		if r, code := resized(t, name, row.args...); code != row.code || !strings.Contains(r.Diff, row.want) {
			t.Errorf("%v: %d, %s", row.args, code, r.Diff)
		}
	}
	g.dom = dom
	g.has(70, 64)
	if claims, err := ledger.ReadClaims("/"); err != nil || len(claims) != 0 {
		t.Errorf("%v, %v", claims, err)
	}
	if r := done(t, "check", name); !strings.Contains(r.Stdout, "growth: it can grow by up to 896 MiB; 6 pages of 2 MiB are free for that, 12 MiB in all") {
		t.Errorf("%s", r.Stdout)
	}
	if r, code := resized(t, name, "128M"); code != 0 || r.ByKiB != 0 {
		t.Errorf("%d, %+v", code, r)
	}
	destroy(t, dom)
	startPaused(t, plain)
	if r, code := resized(t, nameOf(t, plain), "+64M"); code != 3 || !strings.Contains(r.Diff, "no <maxMemory>") {
		t.Errorf("%d, %s", code, r.Diff)
	}
}

// TestMemoryDIMM gives a guest DIMMs that it never gives back, as it has no system.
func TestMemoryDIMM(t *testing.T) {
	g, name := pausedToGrow(t, 70)
	if r, code := resized(t, name, "+64M", "--dry-run"); code != 0 || r.Done || r.AfterKiB != 192<<10 || len(r.Changed) == 0 {
		t.Errorf("%d, %+v", code, r)
	}
	g.has(70, 64)
	r, code := resized(t, name, "+64M", "--config")
	if code != 0 || !r.Done || !r.Defined || r.Device != "dimm" || r.Proof == nil || r.Proof.Hugetlb() != 192<<10 {
		t.Errorf("%d, %+v", code, r)
	}
	g.has(96, 96)
	if r, code := resized(t, name, "256M"); code != 0 || r.ByKiB != 64<<10 {
		t.Errorf("%d, %+v", code, r)
	}
	g.has(128, 128)
	if p, code := verified(t, name); code != 0 || p.Verdict != "all-huge" || p.RAMKiB != 256<<10 {
		t.Errorf("verify: %d, %+v", code, p)
	}
	if r, code := resized(t, name, "-64M", "--timeout", "1s"); code != 1 || !strings.Contains(r.Diff, "has not given up its DIMM of 64 MiB within 1s") {
		t.Errorf("%d, %s", code, r.Diff)
	}
	g.has(128, 128)
	done(t, "stop", name, "--force", "--timeout", "0s")
	if n := g.pool(); n != 70 {
		t.Errorf("%d pages after its end", n)
	}
	// Its definition has one DIMM.
	if r, code := resized(t, name, "128M", "--config"); code != 0 || r.Done || !r.Defined || r.BeforeKiB != 192<<10 {
		t.Errorf("%d, %+v", code, r)
	}
}

// TestMemoryAtOnce has several runs change the same guest: each takes its turn, and plans its
// change from what the one before has made of the guest.
func TestMemoryAtOnce(t *testing.T) {
	g, name := pausedToGrow(t, 64)
	atOnce := func(args ...[]string) (planned int) {
		t.Helper()
		cuts := make([]cut, len(args))
		var all sync.WaitGroup
		for i := range args {
			all.Go(func() {
				cuts[i] = cutShort(uncut, 0, append([]string{"memory", name, "--dimm", "--config"}, args[i]...)...)
			})
		}
		all.Wait()
		for i, r := range cuts {
			if r.err != nil {
				t.Errorf("%v: %v\n%s", args[i], r.err, r.out)
			}
			if strings.Contains(r.out, "another change of its memory came first, and this one was planned anew, from ") {
				planned++
			}
		}
		return planned
	}
	if atOnce([]string{"+32M"}, []string{"+32M"}, []string{"+64M"}) == 0 {
		t.Error("none of three met another")
	}
	g.has(128, 128)
	atOnce([]string{"320M"}, []string{"320M"}) // one of them finds it done
	g.has(160, 160)
	if r, code := resized(t, name, "320M", "--config", "--dry-run"); code != 0 || r.ByKiB != 0 {
		t.Errorf("%d, %+v", code, r)
	}
	if n := strings.Count(definition(t, g.dom), "<memory model='dimm'"); n != 4 {
		t.Errorf("its definition has %d DIMMs:\n%s", n, definition(t, g.dom))
	}

	// One waits for a guest without a system, and others not for ever for that.
	waits := make(chan cut, 1)
	go func() { waits <- cutShort(1, 15*time.Second, "memory", name, "-64M", "--dimm", "--timeout", "10m") }()
	waitUntil(t, "the guest is asked for a DIMM", func() bool {
		claims, err := ledger.ReadClaims("/")
		return err == nil && len(claims) == 1 && claims[0].Resize != nil && claims[0].Resize.Asked
	})
	if r, code := resized(t, name, "+32M", "--dimm", "--timeout", "2s"); code != 1 || r.Diff != "other changes of its memory have not ended within 2s" {
		t.Errorf("%d, %s", code, r.Diff)
	}
	if r := <-waits; !strings.Contains(r.out, "interrupted before the guest has given up its DIMM") {
		t.Errorf("%v: %s", r.err, r.out)
	}
	g.has(160, 160)
	done(t, "stop", name, "--force", "--timeout", "0s")
	if n := g.pool(); n != 64 {
		t.Errorf("%d pages after its end", n)
	}
}

// TestMemoryGuest lets a guest's own system take memory and give it up. As it may have memory
// above 4 GiB one day, Linux keeps 64 MiB for DMA.
func TestMemoryGuest(t *testing.T) {
	hostAsBefore(t)
	g := inPool(t, 128)
	in256 := func(text string) string { return strings.ReplaceAll(text, "128", "256") }
	dom := define(t, guest{memory: in256(growingMemory), backing: pages2M, more: in256(growingCell), boots: true,
		devices: "<memory model='virtio-mem'><target><size unit='MiB'>256</size><node>0</node><block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>"})
	name := nameOf(t, dom)
	start(t, dom)
	greeting(t, dom)
	g.dom = dom

	begun := time.Now()
	if r, code := resized(t, name, "+128M"); code != 0 || r.Device != "virtio-mem" || !r.Done {
		t.Errorf("%d, %+v", code, r)
	}
	whole := time.Since(begun)
	if n, has := g.pool(), pagesOf(t, pidOf(t, dom))[size2M]; n != 192 || has < 128 || has > 192 {
		t.Errorf("%d pages in the pool, %d in the guest", n, has)
	}
	if r, code := resized(t, name, "-128M"); code != 0 || r.Device != "virtio-mem" || r.GivenKiB != 128<<10 {
		t.Errorf("%d, %+v", code, r)
	}
	g.has(128, 128)
	interrupted := 0
	for i := range 10 { // as it plugs: what it has plugged goes, and its pages
		if r := cutShort(1, whole*time.Duration(i+1)/10, "memory", name, "+128M"); r.err != nil {
			interrupted++
		} else {
			done(t, "memory", name, "-128M")
		}
		g.has(128, 128)
	}
	if interrupted == 0 {
		t.Error("no growth was interrupted")
	}

	if r, code := resized(t, name, "+128M", "--dimm"); code != 0 || r.Device != "dimm" {
		t.Errorf("%d, %+v", code, r)
	}
	g.has(192, 192)
	time.Sleep(time.Second) // until it uses the DIMM
	if r, code := resized(t, name, "-128M", "--dimm"); code != 0 || r.GivenKiB != 128<<10 {
		t.Errorf("%d, %+v", code, r)
	}
	g.has(128, 128)
	done(t, "stop", name, "--force", "--timeout", "0s")
}

// TestMemoryKilled kills vmhuge while it gives a guest DIMMs. What the guest has then is what
// the pool has for it.
func TestMemoryKilled(t *testing.T) {
	g, name := pausedToGrow(t, 64)
	begun := time.Now()
	if r, code := resized(t, name, "+32M", "--dimm"); code != 0 {
		t.Fatalf("%d, %+v", code, r)
	}
	whole := time.Since(begun)
	seen := map[int]bool{}
	killedAfter := func(delay time.Duration) {
		t.Helper()
		cmd := exec.Command(filepath.Join(scratch, "bin", "vmhuge"), "memory", name, "+32M", "--dimm")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delay)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		// libvirt and QEMU may still be at what vmhuge asked for.
		libvirtIdle(t, g.dom)
		done(t, "status")
		has := pagesOf(t, pidOf(t, g.dom))[size2M]
		t.Logf("killed after %s of %s: %d pages", delay, whole, has)
		g.has(has, has)
		seen[has] = true
	}
	for i := range 10 {
		killedAfter(whole * time.Duration(i+3) / 12)
	}
	// The machine may be busier now: there must be kills on both sides of libvirt's answer.
	killedAfter(0)
	for delay := whole; len(seen) < 2 && delay < time.Minute; delay += delay / 2 {
		killedAfter(delay)
	}
	if len(seen) < 2 {
		t.Errorf("all kills came before libvirt was asked, or after: %v", seen)
	}
	done(t, "stop", name, "--force", "--timeout", "0s")
	if n := g.pool(); n != 64 {
		t.Errorf("%d pages after its end", n)
	}
}
