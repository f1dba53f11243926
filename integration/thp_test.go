package integration

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep/proof"
)

const thpDir = "/sys/kernel/mm/transparent_hugepage/"

// setTHP changes a setting of the whole machine until the test ends; the lock
// of these tests keeps the others off it.
func setTHP(t *testing.T, name, value string) {
	t.Helper()
	was := strings.TrimSpace(readTHP(t, name))
	if _, chosen, ok := strings.Cut(was, "["); ok {
		was, _, _ = strings.Cut(chosen, "]")
	}
	write := func(value string) {
		if err := os.WriteFile(thpDir+name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { write(was) })
	write(value)
}

func readTHP(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(thpDir + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// verified is what vmhuge verify says of a guest, and its exit code.
func verified(t *testing.T, domain string, flags ...string) (proof.Proof, int) {
	t.Helper()
	r := vmhuge(t, append([]string{"verify", domain, "--json"}, flags...)...)
	var answer struct{ Domains []proof.Proof }
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Domains) != 1 {
		t.Fatalf("verify: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	return answer.Domains[0], r.Code
}

// TestTHP takes a guest to transparent huge pages and back: with the kernel's
// setting at never it gets none, with madvise all of its RAM is on them.
func TestTHP(t *testing.T) {
	hostAsBefore(t)
	dom := define(t, guest{memory: "<memory unit='MiB'>256</memory>", backing: "<nosharepages/>"})
	domain, before := nameOf(t, dom), definition(t, dom)

	done(t, "enable", domain, "--thp")
	if r := done(t, "enable", domain, "--thp"); !strings.Contains(r.Stdout, "nothing to do, it is on transparent huge pages") {
		t.Errorf("a second enable: %s", r.Stdout)
	}
	setTHP(t, "enabled", "never")
	startPaused(t, dom)
	if p, code := verified(t, domain); p.THPKiB != 0 || p.SmallKiB != 256<<10 || p.Verdict != proof.NoHuge || !p.Preallocated || !p.Aligned || code != 1 {
		t.Errorf("enabled is never: exit code %d, %+v", code, p)
	}
	destroy(t, dom)

	if r := vmhuge(t, "check", domain); r.Code != 3 || !strings.Contains(r.Stdout, "enabled is never") {
		t.Errorf("check: %+v", r)
	}
	out := done(t, "start", domain, "--paused")
	if !strings.Contains(out.Stdout, "all 256 MiB of its RAM on huge pages") || !strings.Contains(out.Stdout, "done: echo madvise > "+thpDir+"enabled (was never)") {
		t.Errorf("start: %s", out.Stdout)
	}
	want := proof.Proof{RAMKiB: 256 << 10, HugetlbKiB: map[string]int64{}, THPKiB: 256 << 10, ByNode: map[string]int64{},
		BackedPercent: 100, Verdict: proof.AllHuge, Preallocated: true, Aligned: true}
	got, code := verified(t, domain)
	want.Evidence, want.Parts = got.Evidence, got.Parts
	if diff := cmp.Diff(want, got); diff != "" || code != 0 || len(got.Parts) != 1 {
		t.Errorf("enabled is madvise: exit code %d, -want +got:\n%s", code, diff)
	}
	done(t, "stop", "--force", "--timeout", "0s", domain)
	done(t, "undo")
	if now := readTHP(t, "enabled"); !strings.Contains(now, "[never]") {
		t.Errorf("undone: %s", now)
	}

	// To reserved pages, back to transparent ones, and to what it was.
	setPages(t, 0, size2M, 128)
	done(t, "enable", domain, "--size", "2M")
	done(t, "start", domain, "--paused")
	if p, _ := verified(t, domain); p.Hugetlb() != 256<<10 || !p.Preallocated || !p.Aligned {
		t.Errorf("on reserved pages: %+v", p)
	}
	done(t, "stop", "--force", "--timeout", "0s", domain)
	done(t, "enable", domain, "--thp")
	done(t, "disable", domain)
	if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
		t.Errorf("disable (-before +after):\n%s", diff)
	}
}

// TestTHPNotAligned is the counter-example: QEMU aligns a memfd to 4 KiB, and
// no huge page fits, even if the kernel would give it some.
func TestTHPNotAligned(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "madvise")
	setTHP(t, "shmem_enabled", "advise")
	cell := "<cpu><numa><cell id='0' cpus='0' memory='128' unit='MiB' memAccess='shared'/></numa></cpu>"
	dom := define(t, guest{memory: "<memory unit='MiB'>128</memory>", more: cell, backing: "<source type='memfd'/>"})
	domain := nameOf(t, dom)
	if r := done(t, "enable", domain, "--thp"); !strings.Contains(r.Stderr, "stays shared; QEMU 7.2 aligns that to 4 KiB") {
		t.Errorf("enable: %+v", r)
	}
	startPaused(t, dom)
	p, code := verified(t, domain)
	if p.Aligned || p.THPKiB != 0 || p.SmallKiB != 128<<10 || !p.Preallocated || code != 1 {
		t.Errorf("a memfd: exit code %d, %+v", code, p)
	}
	if r := vmhuge(t, "verify", domain); !strings.Contains(r.Stdout, "not aligned: 128 MiB of RAM starts at ") {
		t.Errorf("verify: %s", r.Stdout)
	}
	destroy(t, dom)
	done(t, "disable", domain)

	// Where nothing has to share it, it becomes private, and is aligned.
	private := define(t, guest{name: guestPrefix + "private", memory: "<memory unit='MiB'>128</memory>", backing: "<source type='memfd'/><access mode='shared'/>"})
	before := definition(t, private)
	if r := done(t, "enable", guestPrefix+"private", "--thp"); !strings.Contains(r.Stderr, "its memory was shared and is private now") {
		t.Errorf("enable: %+v", r)
	}
	startPaused(t, private)
	if p, code := verified(t, guestPrefix+"private"); !p.Aligned || p.THPKiB != 128<<10 || code != 0 {
		t.Errorf("private: exit code %d, %+v", code, p)
	}
	destroy(t, private)
	done(t, "disable", guestPrefix+"private")
	if diff := cmp.Diff(before, definition(t, private)); diff != "" {
		t.Errorf("disable (-before +after):\n%s", diff)
	}
}

// TestTHPByCell has libvirt decide cell by cell: the one that is shared is a file, the other
// anonymous and on transparent huge pages.
func TestTHPByCell(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "madvise")
	cells := "<cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB'/><cell id='1' memory='32' unit='MiB' memAccess='shared'/></numa></cpu>"
	dom := define(t, guest{memory: "<memory unit='MiB'>96</memory>", more: cells, backing: "<nosharepages/>"})
	domain, before := nameOf(t, dom), definition(t, dom)
	if r := done(t, "enable", domain, "--thp"); !strings.Contains(r.Stderr, "cell 1 is shared by its memAccess and stays so, in a file") {
		t.Errorf("enable: %+v", r)
	}
	startPaused(t, dom)
	if p, code := verified(t, domain); p.THPKiB != 64<<10 || p.SmallKiB != 32<<10 || !p.Preallocated || code != 1 {
		t.Errorf("exit code %d, %+v", code, p)
	}
	destroy(t, dom)
	done(t, "disable", domain)
	if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
		t.Errorf("disable (-before +after):\n%s", diff)
	}
}

// TestVerifyWait starts a guest on small pages, of which the kernel then makes
// huge ones.
func TestVerifyWait(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "never")
	dom := define(t, guest{memory: "<memory unit='MiB'>64</memory>"})
	domain := nameOf(t, dom)
	done(t, "enable", domain, "--thp")
	startPaused(t, dom)
	if r := vmhuge(t, "verify", domain, "--wait", "--timeout", "1s"); r.Code != 1 || !strings.Contains(r.Stdout, "none of its 64 MiB") {
		t.Errorf("enabled is never: %+v", r)
	}
	setTHP(t, "enabled", "madvise")
	p, _ := verified(t, domain)
	go collapse(pidOf(t, dom), p.Parts[0])
	r := vmhuge(t, "verify", domain, "--wait")
	if r.Code != 0 || !strings.Contains(r.Stdout, "all 64 MiB of its RAM on huge pages") || !strings.Contains(r.Stdout, "% of its 64 MiB of RAM on huge pages …") {
		t.Errorf("enabled is madvise: %+v", r)
	}
	t.Logf("%s", r.Stdout)
	done(t, "disable", domain)
}

// collapse has the kernel do with a guest's memory what khugepaged does, which
// does not know a guest that was started with never: half of it, and half.
func collapse(pid int, part proof.RAMPart) {
	start, _ := strconv.ParseUint(part.Address, 16, 64)
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // the guest never gets to be all huge
	}
	defer unix.Close(fd)
	half := part.KiB * 1024 / 2
	for range 2 {
		time.Sleep(1500 * time.Millisecond)
		memory := unix.Iovec{Base: (*byte)(unsafe.Add(unsafe.Pointer(nil), start)), Len: uint64(half)}
		_, _, _ = unix.Syscall6(unix.SYS_PROCESS_MADVISE, uintptr(fd), uintptr(unsafe.Pointer(&memory)), 1, unix.MADV_COLLAPSE, 0, 0)
		start += uint64(half)
	}
}

// TestVerifyUntouched tells memory that nobody has touched from small pages.
func TestVerifyUntouched(t *testing.T) {
	hostAsBefore(t)
	dom := define(t, guest{memory: "<memory unit='MiB'>128</memory>"})
	startPaused(t, dom)
	p, code := verified(t, nameOf(t, dom))
	if p.Preallocated || p.UntouchedKiB < 120<<10 || p.SmallKiB < p.UntouchedKiB || p.RAMKiB != 128<<10 || code != 1 {
		t.Errorf("exit code %d, %+v", code, p)
	}
}
