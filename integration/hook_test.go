package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	hostpool "vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

const (
	hookDir  = "/etc/libvirt/hooks/qemu.d"
	hookFile = hookDir + "/90-vmhuge"
)

// installHook has libvirtd call the real hook until the end of the test. Call it
// before the guests are defined: they end first.
func installHook(t *testing.T) {
	t.Helper()
	binary, err := os.ReadFile(filepath.Join(scratch, "bin", "vmhuge-hook"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		logs, _ := filepath.Glob("/run/vmhuge/hook.log*")
		for _, path := range append(logs, hookDir) {
			if err := os.RemoveAll(path); err != nil {
				t.Error(err)
			}
		}
	})
	if err := os.MkdirAll(hookDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hookFile, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	restartLibvirtd(t) // it looks for hooks when it starts
}

// hookSettings are the hook's until the end of the test.
func hookSettings(t *testing.T, s hook.Settings) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	const dir = "/etc/vmhuge"
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/hook.json", text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// noRoom are settings with which the pools can't grow by a single page.
var noRoom = hook.Settings{HostReserveKiB: 1 << 40, DropIfShort: true}

// lastCall is what the hook logged last for a guest.
func lastCall(t *testing.T, name string) hook.Event {
	t.Helper()
	events, err := hook.Events(host.Host{Root: "/"})
	if err != nil {
		t.Fatal(err)
	}
	var last hook.Event
	for _, e := range events {
		if e.Name == name {
			last = e
		}
	}
	return last
}

// wantClaims wants the ledger to hold these, as UUID phase.
func wantClaims(t *testing.T, want ...string) {
	t.Helper()
	claims, err := ledger.ReadClaims("/")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range claims {
		got = append(got, c.Name+" "+string(c.Phase))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the ledger holds %v, not %v", got, want)
	}
}

// timeIsUp ends the time in which guests that were announced must have started: the ten
// minutes of a start that has failed, and of which libvirtd would have told, had its call of
// the hook not been killed, and the 30 seconds of a restore.
func timeIsUp(t *testing.T) {
	t.Helper()
	claims, _ := filepath.Glob("/run/vmhuge/claims/*.starting")
	for _, claim := range claims {
		text, err := os.ReadFile(claim)
		if err == nil {
			err = os.WriteFile(claim, regexp.MustCompile(`"until_uptime":\d+`).ReplaceAll(text, []byte(`"until_uptime":1`)), 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func TestHookGetsPages(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 10)
	installHook(t)
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	startPaused(t, dom)
	if got := pagesOf(t, pidOf(t, dom)); got[size2M] != 32 {
		t.Errorf("it runs on %v", got)
	}
	wantClaims(t, name+" in-use")
	if e := lastCall(t, name); e.Operation != "prepare" || e.Result != hook.Held || len(e.Changed) != 1 || e.Why != "" {
		t.Errorf("the log says %+v", e)
	}
	restartLibvirtd(t) // calls it for the running guest, too
	dom = lookup(t, name)
	defer dom.Free()
	if got := pagesOf(t, pidOf(t, dom)); got[size2M] != 32 {
		t.Errorf("after libvirtd's restart it runs on %v", got)
	}
	destroy(t, dom)
	wantClaims(t)
	if e := lastCall(t, name); e.Operation != "release" || e.Result != hook.Released || e.Owed != 0 || e.Why != "" {
		t.Errorf("the log says %+v", e)
	}
	startPaused(t, dom) // again, over another libvirtd
	if err := unix.Kill(pidOf(t, dom), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the pages of the killed guest go back", func() bool { return lastCall(t, name).Operation == "release" })
	wantClaims(t)
}

// TestHookFailedStart starts a guest that fails after the hook has got its
// pages; as guests do that have none.
func TestHookFailedStart(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	installHook(t)
	dom := define(t, guest{backing: pages2M,
		devices: "<disk type='file'><source file='/var/lib/libvirt/nothing'/><target dev='vda' bus='virtio'/></disk>"})
	startFails(t, dom, "/var/lib/libvirt/nothing")
	wantClaims(t)
	if e := lastCall(t, nameOf(t, dom)); e.Result != hook.Released || e.Given != 64*pages.MiB {
		t.Errorf("the log says %+v", e)
	}
	plain := define(t, guest{name: guestPrefix + "plain"})
	startPaused(t, plain)
	if e := lastCall(t, nameOf(t, plain)); e.Result != hook.Passed {
		t.Errorf("without huge pages the log says %+v", e)
	}
}

func TestHookRefuses(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	installHook(t)
	hookSettings(t, noRoom)
	dom := define(t, guest{backing: pages2M})
	startFails(t, dom, "vmhuge: starting "+nameOf(t, dom)+": 32 more pages of 2 MiB are needed: 32 are missing, as the host can spare 0:")
	wantClaims(t)
	// Nobody but root has pools to change: a user's libvirtd calls it as well.
	copied := "/var/lib/vmhuge-hook"
	if out, err := exec.Command("cp", hookFile, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer os.Remove(copied)
	cmd := exec.Command(copied, "web1", "prepare", "begin", "-")
	cmd.Stdin = strings.NewReader(guest{backing: pages2M}.xml())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("as another user: %v\n%s", err, out)
	}
}

// TestHookWithoutRoomInRun has no space for the ledger. A guest whose pages are
// there starts all the same.
func TestHookWithoutRoomInRun(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	installHook(t)
	if err := os.MkdirAll("/run/vmhuge", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", "/run/vmhuge", "tmpfs", 0, "size=4k"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount("/run/vmhuge", 0); err != nil {
			t.Error(err)
		}
	}()
	if err := os.WriteFile("/run/vmhuge/full", make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	dom := define(t, guest{backing: pages2M})
	startPaused(t, dom)
	second := define(t, guest{name: guestPrefix + "second", backing: pages2M})
	startFails(t, second, "no space left on device; make room in /run")
	startFails(t, second, "0 of ")
	destroy(t, dom)
	startPaused(t, second)
	destroy(t, second)
}

func TestHookManagedSave(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	installHook(t)
	dom := define(t, guest{backing: pages2M})
	startPaused(t, dom)
	save := func() {
		t.Helper()
		if err := dom.ManagedSave(libvirt.DOMAIN_SAVE_PAUSED); err != nil {
			t.Fatal(err)
		}
		wantClaims(t)
	}
	save()
	startPaused(t, dom)
	if got := pagesOf(t, pidOf(t, dom)); got[size2M] != 32 {
		t.Errorf("restored, it runs on %v", got)
	}
	save()
	hookSettings(t, noRoom)
	startPaused(t, dom)
	if got := pagesOf(t, pidOf(t, dom)); len(got) != 0 {
		t.Errorf("restored without room, it runs on %v", got)
	}
	wantClaims(t)
	destroy(t, dom)
	startFails(t, dom, "32 are missing") // its definition still asks for them
}

// TestHookAndVmhuge lets vmhuge start a guest, for which libvirtd then calls the
// hook.
func TestHookAndVmhuge(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	installHook(t)
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	before := persistent(t)
	done(t, "start", "--paused", name)
	wantClaims(t, name+" in-use")
	if e := lastCall(t, name); e.Result != hook.Held || len(e.Changed) > 0 {
		t.Errorf("the log says %+v", e)
	}
	done(t, "stop", "--force", "--timeout", "0s", name)
	wantClaims(t)
	if after := persistent(t); after != before {
		t.Errorf("the pool had %d pages, and has %d", before, after)
	}
}

// TestCrowd starts 16 guests at once, with room for all but a page. With CHAOS_ROUNDS, as
// just chaos sets it, there are 32, also with room for all, and libvirt and vmhuge have a
// crowd each.
func TestCrowd(t *testing.T) {
	const clients = 12
	crowd := 16
	byLibvirt := func(t *testing.T, name string, _ int64) error {
		conn, err := libvirt.NewConnect("qemu:///system")
		if err != nil {
			return err
		}
		defer conn.Close()
		dom, err := conn.LookupDomainByName(name)
		if err != nil {
			return err
		}
		defer dom.Free()
		return tryStartPaused(dom)
	}
	byVmhuge := func(t *testing.T, name string, reserveKiB int64) error {
		r := vmhuge(t, "start", "--paused", "--host-reserve", fmt.Sprintf("%dK", reserveKiB), name)
		if r.Code != 0 {
			return fmt.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
		}
		return nil
	}
	ways := map[string][]func(*testing.T, string, int64) error{"both": {byLibvirt, byVmhuge}}
	pagesLacking := []int64{1}
	if number(t, "CHAOS_ROUNDS", 0) > 0 {
		crowd = 32
		pagesLacking = []int64{0, 1}
		ways["libvirt"], ways["vmhuge"] = ways["both"][:1], ways["both"][1:]
	}
	for way, starts := range ways {
		for _, lacking := range pagesLacking {
			t.Run(fmt.Sprintf("%s-%d", way, lacking), func(t *testing.T) {
				hostAsBefore(t)
				setPages(t, 0, size2M, 0)
				installHook(t)
				reserveKiB := reserveFor(t, int64(crowd)*32-lacking)
				hookSettings(t, hook.Settings{HostReserveKiB: reserveKiB})
				var names []string
				for i := range crowd {
					names = append(names, nameOf(t, define(t, guest{name: fmt.Sprintf("%scrowd-%d", guestPrefix, i), backing: pages2M})))
				}
				errs := make([]error, crowd)
				var wait sync.WaitGroup
				turns := make(chan int)
				for range clients {
					wait.Add(1)
					go func() {
						defer wait.Done()
						for i := range turns {
							errs[i] = starts[i%len(starts)](t, names[i], reserveKiB)
						}
					}()
				}
				for i := range crowd {
					turns <- i
				}
				close(turns)
				wait.Wait()
				var failed []string
				for i, err := range errs {
					dom := lookup(t, names[i])
					if active, _ := dom.IsActive(); active != (err == nil) {
						t.Errorf("%s is active: %v, and its start ended with %v", names[i], active, err)
					} else if !active {
						failed = append(failed, err.Error())
					} else if got := pagesOf(t, pidOf(t, dom)); got[size2M] != 32 {
						t.Errorf("%s runs on %v", names[i], got)
					}
					_ = dom.Free()
				}
				if len(failed) != int(lacking) {
					t.Errorf("%d failed, not %d:\n%s", len(failed), lacking, strings.Join(failed, "\n"))
				}
				for _, message := range failed {
					if !strings.Contains(message, "1 is missing") {
						t.Errorf("does not say what is missing: %s", message)
					}
				}
			})
		}
	}
}

// reserveFor returns the reserve with which the pools can grow by so many pages
// of 2 MiB.
func reserveFor(t *testing.T, count int64) (kib int64) {
	t.Helper()
	mem, err := host.Host{Root: "/"}.Meminfo()
	if err != nil {
		t.Fatal(err)
	}
	state, err := hostpool.Read("/")
	if err != nil {
		t.Fatal(err)
	}
	reserve := mem.Total - count*int64(pages.Size2MiB)
	for _, g := range state.Globals {
		reserve -= g.Total * int64(g.Size)
	}
	return reserve / pages.KiB
}
