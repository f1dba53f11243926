package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vmhuge/docs/schema"
	room "vmhuge/hostprep/collapse"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
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

// TestCollapseAtWork collapses a guest that writes memory and reads it again all the time, and
// never finds there what it did not write.
func TestCollapseAtWork(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "never")
	g := guest{name: domainName(t), memory: "<memory unit='MiB'>192</memory>", boots: true, works: true}
	dom := define(t, g)
	start(t, dom)
	greeting(t, dom)
	rounds := func() int {
		console, _ := os.ReadFile(g.console())
		if strings.Contains(string(console), "memory is wrong") {
			t.Fatalf("its memory is wrong:\n%s", console)
		}
		return strings.Count(string(console), "memory is right")
	}
	for range 3 {
		begun := rounds()
		waitUntil(t, "it works", func() bool { return rounds() > begun })
		if c, code := collapsed(t, g.name, "--at-least", "90%"); code != 0 || c.After.HugeKiB < 64<<10 {
			t.Errorf("%d, %+v", code, c)
		}
		begun = rounds()
		waitUntil(t, "it goes on", func() bool { return rounds() > begun+1 })
	}
	destroy(t, dom)
}

func TestCollapsePreallocated(t *testing.T) { collapsePreallocated(t) }

// collapsePreallocated has all of the RAM there, and verify then finds all of it huge.
func collapsePreallocated(t *testing.T) {
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

// TestCollapseFollow collapses guests on transparent huge pages as they start, also after a
// restart of libvirt's daemon, and leaves others alone.
func TestCollapseFollow(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "never")
	plain := define(t, guest{name: guestPrefix + "plain", memory: "<memory unit='MiB'>64</memory>", backing: "<allocation mode='immediate'/>"})
	startPaused(t, plain)
	dom := define(t, guest{memory: "<memory unit='MiB'>64</memory>"})
	name := nameOf(t, dom)
	done(t, "enable", name, "--thp")
	startPaused(t, dom)

	cmd := exec.CommandContext(t.Context(), filepath.Join(scratch, "bin", "vmhuge"), "collapse", "--follow", "--json")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan []byte, 64)
	go func() {
		defer close(lines)
		for text := bufio.NewScanner(out); text.Scan(); {
			lines <- bytes.Clone(text.Bytes())
		}
	}()
	collapsed := func() {
		t.Helper()
		select {
		case line := <-lines:
			var answer struct{ Domains []launcher.Collapsed }
			if err := errors.Join(schema.Check("collapse", 0, line), json.Unmarshal(line, &answer)); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if c := answer.Domains[0]; c.Name != name || c.Before.HugeKiB != 0 || c.After.HugeKiB != 64<<10 || !c.Reached {
				t.Errorf("%+v", c)
			}
		case <-time.After(hangs):
			t.Fatal("nothing is collapsed")
		}
		if p, _ := verified(t, name); p.Verdict != proof.AllHuge {
			t.Errorf("%+v", p)
		}
	}
	collapsed() // it ran already
	destroy(t, dom)
	startPaused(t, dom)
	collapsed()
	destroy(t, dom)
	restartLibvirtd(t)
	dom = lookup(t, name)
	startPaused(t, dom)
	collapsed()
	destroy(t, dom)
	done(t, "disable", name)
	_ = dom.Free()
	if p, _ := verified(t, guestPrefix+"plain"); p.THPKiB != 0 {
		t.Errorf("a guest that asks for none has %d KiB of huge pages", p.THPKiB)
	}
	if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
		t.Errorf("it ends with %v", err)
	}
	for line := range lines {
		t.Errorf("%s", line)
	}
}

// TestStartAtLeast proves what a guest on transparent huge pages has, and collapses what it
// has not: one that was started while the kernel gave it none.
func TestStartAtLeast(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "never")
	dom := define(t, guest{memory: "<memory unit='MiB'>64</memory>"})
	name := nameOf(t, dom)
	done(t, "enable", name, "--thp")
	startPaused(t, dom)
	setTHP(t, "enabled", "madvise")
	start := []string{"start", "--paused", name}
	if r := report(t, 0, start...); r.Proof.THPKiB != 0 {
		t.Errorf("without: %+v", r.Proof)
	}
	for _, what := range []string{"one that runs", "one that starts"} {
		if r := report(t, 0, append(start, "--at-least", "99%")...); r.Proof.Verdict != proof.AllHuge || r.Proof.THPKiB != 64<<10 {
			t.Errorf("%s: %+v", what, r.Proof)
		}
		stopNow(t, name)
	}
	refused(t, 2, []string{"--at-least is about transparent huge pages"}, "enable", name, "--at-least", "99%")
	done(t, "enable", name, "--thp", "--at-least", "99%")
	setTHP(t, "enabled", "never")
	startPaused(t, dom)
	if r := report(t, 0, start...); r.Proof.Verdict != proof.AllHuge || r.AtLeast != 99 {
		t.Errorf("as its XML asks: %+v", r)
	}
	stopNow(t, name)
	if r := done(t, "status"); !strings.Contains(r.Stdout, name+": vmhuge start collapses it until 99 % of its RAM in use is on huge pages") {
		t.Error(r.Stdout)
	}
	done(t, "disable", name)
	setTHP(t, "enabled", "madvise")

	name = nameOf(t, define(t, guest{name: domainName(t) + "-shared", memory: "<memory unit='MiB'>64</memory>",
		more: "<cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB' memAccess='shared'/></numa></cpu>"}))
	done(t, "enable", name, "--thp")
	if r := vmhuge(t, "start", "--paused", name, "--at-least", "95%"); r.Code != 4 || !strings.Contains(r.Stderr, "it runs, but 0 % of its RAM in use is on huge pages, not 95 %; see why: vmhuge collapse "+name) {
		t.Errorf("%+v", r)
	}
	stopNow(t, name)
	done(t, "disable", name)
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

// collapseWhereMemoryIsInPieces collapses a guest on a host that has enough memory, and then on
// one that has as much, but no free block of it: there the kernel compacts. What could-make
// says can be had at once must be had.
func collapseWhereMemoryIsInPieces(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "never")
	dom := define(t, guest{memory: "<memory unit='MiB'>256</memory>", backing: "<allocation mode='immediate'/>"})
	name := nameOf(t, dom)
	for _, inPieces := range []bool{false, true} {
		startPaused(t, dom)
		if inPieces {
			memory := touched(t, 90)
			for at := 0; at < len(memory); at += huge {
				drop(t, memory[at+16*small:at+huge])
			}
		}
		before, _ := collapsed(t, name, "--dry-run")
		c, code := collapsed(t, name, "--at-least", "99%", "--budget", "5m")
		now, gained := min(before.Now, 128), c.After.HugeKiB/pages.Size2MiB.KiB()
		if before.Before.HugeKiB != 0 || gained < now-now/50 || c.Reached != (code == 0) || !inPieces && !c.Reached {
			t.Errorf("of 128 blocks %d could be made now, and %d were; exit code %d", now, gained, code)
		}
		noBlock := slices.ContainsFunc(c.Left, func(l room.Left) bool { return l.Reason == room.NoBlock })
		if !c.Reached && !noBlock && c.Stopped != room.AtReserve {
			t.Errorf("it does not say why: %+v", c)
		}
		destroy(t, dom)
	}
}
