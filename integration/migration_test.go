package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"libvirt.org/go/libvirt"
)

// TestMicroVMMigration moves guests between two hosts that both have the hook. 5 pages are
// there on the one, and 7 on the other, before a guest comes.
func TestMicroVMMigration(t *testing.T) {
	if !inMicroVM(t, machine{nodes: 1, nodeMiB: 2560, pair: true}.within(45*time.Minute)) {
		return
	}
	hostAsBefore(t)
	installHook(t)
	noteCalls(t)
	if out, code := shell(t, "head -c 32M /dev/urandom > "+ballast+" && sysctl -qw vm.unprivileged_userfaultfd=1"); code != 0 {
		t.Fatal(out)
	}
	if pairNumber() == 2 {
		setPages(t, 0, size2M, 7)
		servePeer(t)
		return
	}
	setPages(t, 0, size2M, 5)
	m := migration{there: meetPeer(t)}
	t.Run("live", m.live)
	for _, part := range sampled(t, []struct {
		name string
		run  func(t *testing.T)
	}{
		{"short", m.short},
		{"interrupted", m.interrupted},
		{"postcopied", m.postcopied},
		{"kept", m.kept},
		{"offline", m.offline},
	}) {
		t.Run(part.name, part.run)
	}
}

// ballast is what a guest has in its memory, so that it takes a while to move it.
const ballast = bootDir + "/ballast"

// loaded is a guest with that in its memory.
const loaded = `<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
	<qemu:arg value='-device'/><qemu:arg value='loader,file=` + ballast + `,addr=0x1000000,force-raw=on'/></qemu:commandline>`

// calls is where the hooks note what libvirt calls them for, and the pool then.
const calls = "/run/calls"

// noteCalls installs a hook that does so. libvirt knows its folder already.
func noteCalls(t *testing.T) {
	t.Helper()
	pool := nodePoolDir(0, size2M)
	script := fmt.Sprintf("#!/bin/sh\ncat >/dev/null\necho \"$2 $3 $4 $(cat %s/nr_hugepages) $(cat %s/free_hugepages)\" >>%s\n", pool, pool, calls)
	if err := os.WriteFile(hookDir+"/95-note", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// migration has the machine to which guests go.
type migration struct{ there peer }

// want holds the pools of both machines to be so.
func (m migration) want(t *testing.T, when string, here, there nodePool) {
	t.Helper()
	wantNodes(t, when+", here", here)
	m.wantThere(t, when, there)
}

func (m migration) wantThere(t *testing.T, when string, want nodePool) {
	t.Helper()
	var got nodePool
	text := m.there.run(t, "cd "+nodePoolDir(0, size2M)+" && cat nr_hugepages free_hugepages surplus_hugepages")
	if _, err := fmt.Sscan(text, &got.Total, &got.Free, &got.Surplus); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("the pool, %s, there: %+v, not %+v", when, got, want)
	}
}

// move begins to migrate a guest. wait returns what virsh said.
func (m migration) move(t *testing.T, dom *libvirt.Domain, how string) (wait func() (output string, ok bool)) {
	t.Helper()
	type answer struct {
		output string
		ok     bool
	}
	line := fmt.Sprintf("virsh migrate %s --persistent %s %s tcp://%s", how, nameOf(t, dom), m.there.libvirt(), m.there.address)
	done := make(chan answer, 1)
	go func() {
		out, code := shell(t, line)
		done <- answer{out, code == 0}
	}()
	return func() (string, bool) { a := <-done; return a.output, a.ok }
}

// moved is move for what must succeed.
func (m migration) moved(t *testing.T, dom *libvirt.Domain, how string) {
	t.Helper()
	if out, ok := m.move(t, dom, how)(); !ok {
		t.Fatalf("virsh migrate %s: %s", how, out)
	}
}

// inFlight waits until a guest's memory is on its way.
func inFlight(t *testing.T, dom *libvirt.Domain) {
	t.Helper()
	waitUntil(t, "its memory is on its way", func() bool {
		job, err := dom.GetJobStats(0)
		return err == nil && job.MemProcessedSet && job.MemProcessed > 0
	})
}

// endThere ends guests there, and wants nothing of them to be left.
func (m migration) endThere(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		m.there.run(t, "virsh destroy "+name+" && virsh undefine "+name)
	}
	m.nothingThere(t, "at the end")
}

// nothingThere wants the other machine to be as before.
func (m migration) nothingThere(t *testing.T, when string) {
	t.Helper()
	m.wantThere(t, when, nodePool{Total: 7, Free: 7})
	if left := strings.TrimSpace(m.there.run(t, "virsh list --all --name; ls /run/vmhuge/claims 2>/dev/null; true")); left != "" {
		t.Errorf("%s, there: %s", when, left)
	}
}

// verified wants guests there to have all of their pages.
func (m migration) verified(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if out := m.there.run(t, "vmhuge verify "+name); !strings.HasPrefix(out, name+": all 64 MiB of its RAM on huge pages\n") {
			t.Error(out)
		}
	}
}

// live moves a guest: its pages are there before its QEMU starts, and leave here after it ends.
func (m migration) live(t *testing.T) {
	dom := define(t, guest{backing: pages2M})
	startPaused(t, dom)
	m.want(t, "before", nodePool{Total: 32}, nodePool{Total: 7, Free: 7})
	if err := os.Remove(calls); err != nil {
		t.Fatal(err)
	}
	m.moved(t, dom, "--live")
	m.want(t, "after", nodePool{Total: 5, Free: 5}, nodePool{Total: 32})
	m.verified(t, nameOf(t, dom))
	wantClaims(t)
	here, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("stopped end - 32 32\nrelease end - 5 5\n", string(here)); diff != "" {
		t.Errorf("the hooks' calls here: %s", diff)
	}
	there := m.there.run(t, "cat "+calls)
	if diff := cmp.Diff("migrate begin - 7 7\nprepare begin - 32 32\nstart begin - 32 32\nstarted begin - 32 0\n", there); diff != "" {
		t.Errorf("the hooks' calls there: %s", diff)
	}
	m.endThere(t, nameOf(t, dom))
}

// short moves a guest to where there is not enough memory.
func (m migration) short(t *testing.T) {
	setPages(t, 0, size2M, 256)
	dom := define(t, guest{backing: pages2M, memory: "<memory unit='MiB'>512</memory>"})
	startPaused(t, dom)
	out, ok := m.move(t, dom, "--live")()
	if words := "vmhuge: starting " + nameOf(t, dom) + ": 249 more pages of 2 MiB are needed: "; ok || !strings.Contains(out, words) {
		t.Errorf("%v: %s", ok, out)
	}
	m.want(t, "after", nodePool{Total: 256}, nodePool{Total: 7, Free: 7})
	m.nothingThere(t, "refused")
	if n := pagesOf(t, pidOf(t, dom))[size2M]; n != 256 {
		t.Errorf("here it has %d pages", n)
	}
}

// interrupted has a migration end early, after which the guest is where it was, and moves it
// once more.
func (m migration) interrupted(t *testing.T) {
	dom := define(t, guest{backing: pages2M, more: loaded})
	name := nameOf(t, dom)
	startPaused(t, dom)
	for _, end := range sampled(t, []struct{ name, here, there string }{
		{name: "aborted", here: "virsh domjobabort " + name},
		{name: "QEMU killed there", there: "kill -9 $(cat /run/libvirt/qemu/" + name + ".pid)"},
	}) {
		wait := m.move(t, dom, "--live --p2p --bandwidth 1")
		inFlight(t, dom)
		m.want(t, "in flight", nodePool{Total: 32}, nodePool{Total: 32})
		if out, code := shell(t, end.here); code != 0 {
			t.Error(out)
		}
		m.there.run(t, end.there)
		if out, ok := wait(); ok {
			t.Errorf("%s: %s", end.name, out)
		}
		m.want(t, end.name, nodePool{Total: 32}, nodePool{Total: 7, Free: 7})
		m.nothingThere(t, end.name)
	}
	m.moved(t, dom, "--live --undefinesource")
	m.want(t, "after", nodePool{Total: 5, Free: 5}, nodePool{Total: 32})
	m.verified(t, name)
	m.endThere(t, name)
	again, err := libvirtd.conn.DomainDefineXML(guest{name: name}.xml()) // its cleanup wants it
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Free()
}

// postcopied moves a guest that runs there before all of its memory has come. QEMU begins with
// giving up what it has allocated, so that until then its pages look free. A guest that starts
// meanwhile, and a vmhuge that runs meanwhile, leave them to it.
func (m migration) postcopied(t *testing.T) {
	dom := define(t, guest{backing: pages2M, more: loaded})
	name, other := nameOf(t, dom), nameOf(t, dom)+"-other"
	m.there.run(t, "cat >/run/other.xml <<'END' && virsh define /run/other.xml\n"+guest{name: other, backing: pages2M}.xml()+"END")
	start(t, dom)
	m.there.run(t, "touch /run/watch; (while [ -e /run/watch ]; do vmhuge status; done) >/dev/null 2>&1 &")
	wait := m.move(t, dom, "--live --postcopy --bandwidth 1")
	inFlight(t, dom)
	m.there.run(t, "rm /run/watch; cd "+nodePoolDir(0, size2M)+" && [ $(cat nr_hugepages) = 32 ] && [ $(cat free_hugepages) -gt 8 ]")
	if out, ok := m.there.try(t, "virsh start --paused "+other); !ok {
		t.Error(out)
	}
	if out, code := shell(t, "virsh migrate-postcopy "+name); code != 0 {
		t.Error(out)
	}
	if out, ok := wait(); !ok {
		t.Error(out)
	}
	m.want(t, "after", nodePool{Total: 5, Free: 5}, nodePool{Total: 64})
	m.verified(t, name, other)
	m.endThere(t, name, other)
}

// kept moves a guest whose pages stay for it while it does not run: they do so here.
func (m migration) kept(t *testing.T) {
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	done(t, "enable", name, "--keep", "always")
	startPaused(t, dom)
	m.moved(t, dom, "--live")
	m.want(t, "after", nodePool{Total: 32, Free: 32}, nodePool{Total: 32})
	m.verified(t, name)
	done(t, "enable", name, "--keep", "no")
	done(t, "disable", name)
	m.there.run(t, "vmhuge disable "+name) // for its next start
	wantNodes(t, "kept no more", nodePool{Total: 5, Free: 5})
	m.endThere(t, name)
}

// offline moves the definition alone.
func (m migration) offline(t *testing.T) {
	dom := define(t, guest{backing: pages2M})
	m.moved(t, dom, "--offline")
	m.want(t, "after", nodePool{Total: 5, Free: 5}, nodePool{Total: 7, Free: 7})
	m.there.run(t, "virsh undefine "+nameOf(t, dom))
	m.nothingThere(t, "offline")
}
