package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/versions"
	"vmhuge/launcher"
)

// report runs vmhuge with --json for one domain and returns what it says of it.
func report(t *testing.T, wantCode int, args ...string) launcher.Report {
	t.Helper()
	r := vmhuge(t, append(args, "--json")...)
	if r.Code != wantCode {
		t.Fatalf("vmhuge %q: exit code %d, want %d\n%s%s", args, r.Code, wantCode, r.Stdout, r.Stderr)
	}
	var answer struct{ Domains []launcher.Report }
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Domains) != 1 {
		t.Fatalf("vmhuge %q: %v\n%s", args, err, r.Stdout)
	}
	return answer.Domains[0]
}

// done runs vmhuge and wants it to succeed.
func done(t *testing.T, args ...string) result {
	t.Helper()
	r := vmhuge(t, args...)
	if r.Code != 0 {
		t.Fatalf("vmhuge %q: exit code %d\n%s%s", args, r.Code, r.Stdout, r.Stderr)
	}
	return r
}

// refused runs vmhuge and wants one sentence that holds all words.
func refused(t *testing.T, wantCode int, words []string, args ...string) {
	t.Helper()
	r := vmhuge(t, args...)
	if r.Code != wantCode {
		t.Errorf("vmhuge %q: exit code %d, want %d\n%s%s", args, r.Code, wantCode, r.Stdout, r.Stderr)
	}
	for _, word := range words {
		if !strings.Contains(r.Stderr, word) {
			t.Errorf("vmhuge %q: no %q in: %s", args, word, r.Stderr)
		}
	}
	if strings.Count(r.Stderr, "\n") != 1 {
		t.Errorf("vmhuge %q: not one line: %q", args, r.Stderr)
	}
}

// definition is what the next start of a domain uses, with its passwords.
func definition(t *testing.T, dom *libvirt.Domain) string {
	t.Helper()
	xml, err := dom.GetXMLDesc(libvirt.DOMAIN_XML_INACTIVE | libvirt.DOMAIN_XML_SECURE)
	if err != nil {
		t.Fatal(err)
	}
	return xml
}

func TestEnableStartVerifyStop(t *testing.T) { enableStartVerifyStop(t, possible) }

// enableStartVerifyStop runs the rows that take such pages.
func enableStartVerifyStop(t *testing.T, such func(pageCount) bool) {
	const gib = "<memory unit='GiB'>1</memory>"
	const twoCells = "<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/><cell id='1' memory='64' unit='MiB'/></numa></cpu>"
	for name, row := range map[string]struct {
		guest  guest
		enable []string
		want   pageCount
	}{
		"2M":       {guest{}, nil, pageCount{size2M: 32}},
		"2M-memfd": {guest{}, []string{"--source", "memfd"}, pageCount{size2M: 32}},
		"1G":       {guest{memory: gib}, []string{"--size", "1G"}, pageCount{size1G: 1}},
		"2cells":   {guest{more: twoCells}, nil, pageCount{size2M: 48}},
		"rounded":  {guest{memory: "<memory unit='MiB'>65</memory>"}, []string{"--round", "--threads", "2"}, pageCount{size2M: 33}},
		"default":  {guest{}, []string{"--size", "default"}, pageCount{size2M: 32}},
	} {
		if !such(row.want) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			hostAsBefore(t)
			for kib := range row.want {
				setPages(t, 0, kib, 0)
			}
			dom := define(t, row.guest)
			domain, before := nameOf(t, dom), definition(t, dom)

			if i := slices.Index(row.enable, "--threads"); i >= 0 && !here(t, versions.Threads) {
				row.enable = slices.Delete(slices.Clone(row.enable), i, i+2)
			}
			done(t, append([]string{"enable", domain}, row.enable...)...)
			if r := report(t, 4, "check", domain); r.Verdict != hostprep.NoMemory || r.Ready || !r.Fixable {
				t.Errorf("check without pages: %+v", r)
			}
			var started launcher.Report
			taken := takenPages(t, func() { started = report(t, 0, "start", domain) })
			if diff := cmp.Diff(row.want, taken); diff != "" {
				t.Errorf("pages gone from the pools (-want +got):\n%s", diff)
			}
			if started.Verdict != hostprep.Running || started.Proof == nil || started.Proof.Verdict != proof.AllHuge {
				t.Errorf("start: %+v", started)
			}
			demanded := pageCount{}
			for _, total := range started.Totals {
				demanded[int(total.PageSize.KiB())] = int(total.Pages)
			}
			if diff := cmp.Diff(row.want, demanded); diff != "" {
				t.Errorf("demand (-want +got):\n%s", diff)
			}
			done(t, "verify", domain)
			if r := report(t, 0, "start", domain); r.Verdict != hostprep.Running {
				t.Errorf("a second start: %+v", r)
			}
			done(t, "stop", "--force", "--timeout", "0s", domain)
			done(t, "stop", domain)
			done(t, "disable", domain)
			if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
				t.Errorf("the XML after disable (-before +after):\n%s", diff)
			}
		})
	}
}

// TestShutdownIsWaitedFor stops a guest that powers off by itself when asked.
func TestShutdownIsWaitedFor(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	dom := define(t, guest{memory: "<memory unit='MiB'>96</memory>", boots: true})
	domain := nameOf(t, dom)
	done(t, "enable", domain)
	done(t, "start", domain)
	greeting(t, dom)
	if r := done(t, "stop", domain); !strings.Contains(r.Stdout, "96 MiB of huge pages freed") {
		t.Errorf("stop says: %s", r.Stdout)
	}
	done(t, "disable", domain)
}

func TestPoolOnePageShort(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 31)
	dom := define(t, guest{backing: pages2M})
	domain := nameOf(t, dom)
	if r := report(t, 4, "check", domain); r.Verdict != hostprep.NoMemory || !r.Fixable {
		t.Errorf("check: %+v", r)
	}
	startFails(t, dom, "Cannot allocate memory")
	done(t, "start", "--paused", domain)
	var total int
	if err := readNumber(nodePoolDir(0, size2M)+"/nr_hugepages", &total); err != nil || total != 32 {
		t.Errorf("the pool has %d pages, %v; want one more than 31", total, err)
	}
	done(t, "stop", "--force", "--timeout", "0s", domain)
}

func TestReadyHostIsLeftAlone(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	dom := define(t, guest{backing: pages2M})
	domain := nameOf(t, dom)
	if r := report(t, 0, "check", domain); r.Verdict != hostprep.Ready || !r.Ready {
		t.Errorf("check: %+v", r)
	}
	if r := report(t, 0, "start", "--paused", domain); len(r.Changed) > 0 {
		t.Errorf("start changed %v", r.Changed)
	}
	if r := done(t, "enable", domain); !strings.Contains(r.Stdout, "nothing to do, it is on huge pages") || !strings.Contains(r.Stdout, "paused, all 64 MiB of its RAM on huge pages") {
		t.Errorf("enable of a guest that runs on huge pages: %s", r.Stdout)
	}
	refused(t, 1, []string{"there is no such domain (did you mean " + domain + "?)"}, "check", domain+"s")
	done(t, "stop", "--force", "--timeout", "0s", domain)
}

// TestRefusedStartGivesBack starts a guest that QEMU gets pages for and then
// refuses.
func TestRefusedStartGivesBack(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	dom := define(t, guest{backing: pages2M,
		devices: "<disk type='file'><source file='/var/lib/libvirt/nothing'/><target dev='vda' bus='virtio'/></disk>"})
	refused(t, 1, []string{"starting", "/var/lib/libvirt/nothing"}, "start", nameOf(t, dom))
}

func TestTooLittleMemory(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	dom := define(t, guest{memory: "<memory unit='TiB'>1</memory>", backing: pages2M})
	domain := nameOf(t, dom)
	for _, command := range []string{"check", "start"} {
		if r := report(t, 4, command, domain); r.Verdict != hostprep.NoMemory || r.Fixable {
			t.Errorf("%s: %+v", command, r)
		}
	}
	small := define(t, guest{name: "vmhuge-small", backing: pages2M})
	if r := report(t, 4, "start", nameOf(t, small), "--host-reserve", "1T"); r.Verdict != hostprep.NoMemory {
		t.Errorf("start --host-reserve: %+v", r)
	}
	if r := vmhuge(t, "start", "--no-prepare", nameOf(t, small)); r.Code != 4 {
		t.Errorf("start --no-prepare: %+v", r)
	}
	before := readTestPools(t)
	if r := report(t, 4, "start", "--dry-run", nameOf(t, small)); len(r.Findings) == 0 || len(r.Findings[0].Changes) == 0 {
		t.Errorf("start --dry-run tells no change: %+v", r)
	}
	if diff := cmp.Diff(before, readTestPools(t)); diff != "" {
		t.Errorf("start --dry-run: %s", diff)
	}
}

// TestHostReserve asks for half of what the kernel could give now, whatever other
// programs take and free meanwhile: there is room beside a reserve of 256 MiB, and on
// no machine beside one that leaves half of the guest.
func TestHostReserve(t *testing.T) {
	hostAsBefore(t)
	mem, err := host.Host{Root: "/"}.Meminfo()
	if err != nil {
		t.Fatal(err)
	}
	all := define(t, guest{name: guestPrefix + "all", memory: fmt.Sprintf("<memory unit='KiB'>%d</memory>", mem.Total>>21<<11), backing: pages2M})
	r := report(t, 4, "start", "--dry-run", "--host-reserve", "256M", nameOf(t, all))
	short := slices.IndexFunc(r.Findings, func(f hostprep.Finding) bool { return f.CouldMake != nil })
	if short < 0 {
		t.Fatalf("no finding says what the kernel could allocate: %+v", r)
	}
	mib := r.Findings[short].Compacted
	dom := define(t, guest{memory: fmt.Sprintf("<memory unit='MiB'>%d</memory>", mib/2*2), backing: pages2M})
	if r := report(t, 4, "start", "--dry-run", "--host-reserve", "256M", nameOf(t, dom)); !r.Fixable {
		t.Errorf("with --host-reserve 256M: %+v", r)
	}
	most := fmt.Sprintf("%dM", mem.Total>>20-mib/2)
	if r := report(t, 4, "start", "--dry-run", "--host-reserve", most, nameOf(t, dom)); r.Fixable {
		t.Errorf("with --host-reserve %s: %+v", most, r)
	}
}

// TestMendsFolders breaks the folders below the mount as an older libvirt or a
// strict umask does; start mends them, and undo takes that back.
func TestMendsFolders(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	dom := define(t, guest{backing: pages2M})
	domain := nameOf(t, dom)
	dir := filepath.Join(mount2M, "libvirt", "qemu")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	if r := report(t, 3, "check", domain); r.Verdict != hostprep.NoAccess || !r.Fixable {
		t.Errorf("check: %+v", r)
	}
	startFails(t, dom, "Permission denied")
	if r := report(t, 0, "start", "--paused", domain); len(r.Changed) != 1 || r.Changed[0].Kind != change.KindChmod {
		t.Errorf("start: %+v", r)
	}
	done(t, "stop", "--force", "--timeout", "0s", domain)
	done(t, "undo")
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("after undo: %v, %v", info, err)
	}
}

// TestInterrupted interrupts or kills a start at many moments. Afterwards either the guest
// runs and has its pages, or nothing is left.
func TestInterrupted(t *testing.T) {
	setPages(t, 0, size2M, 0)
	dom := define(t, guest{memory: "<memory unit='MiB'>512</memory>", backing: pages2M})
	domain := nameOf(t, dom)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		for _, after := range sampled(t, []time.Duration{0, 5, 10, 20, 40, 80, 160, 320, 640, 1280}) {
			t.Run(fmt.Sprintf("%s-%dms", signal, after), func(t *testing.T) {
				hostAsBefore(t)
				cmd := exec.Command(filepath.Join(scratch, "bin", "vmhuge"), "start", "--paused", domain)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(after * time.Millisecond)
				_ = cmd.Process.Signal(signal)
				err := cmd.Wait()
				if signal == syscall.SIGKILL {
					time.Sleep(200 * time.Millisecond) // libvirtd may only now begin the start that was sent to it
					done(t, "stop", "--force", "--timeout", "0s", domain)
					return
				}
				active, activeErr := dom.IsActive()
				if activeErr != nil {
					t.Fatal(activeErr)
				}
				if active != (err == nil) {
					t.Errorf("vmhuge ended with %v, and the guest is active: %v", err, active)
				}
				if active {
					done(t, "stop", "--force", "--timeout", "0s", domain)
				}
			})
		}
	}
}
