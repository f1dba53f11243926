package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// TestMicroVMStuckWriteInArea starts guests while the kernel, for a page of 1 GiB from its own
// area, waits for memory that a file system's server keeps.
func TestMicroVMStuckWriteInArea(t *testing.T) {
	if inMicroVM(t, oneWithArea) {
		stuckWrite(t)
	}
}

// answerWithin is in how long each must answer. A real processor has done in milliseconds what
// takes an emulated one seconds, or a minute on a busy host.
const answerWithin = 2 * time.Minute

// bounded holds something to answer in time.
func bounded(t *testing.T, what string, do func()) {
	t.Helper()
	began := time.Now()
	do()
	took := time.Since(began)
	t.Logf("%s takes %s", what, took.Round(100*time.Millisecond))
	if took > answerWithin {
		t.Errorf("%s takes %s", what, took)
	}
}

func stuckWrite(t *testing.T) {
	hostAsBefore(t)
	installHook(t)
	atBoot := readTestPools(t)[size1G].Nodes[0].Total
	done(t, "prepare", "--pages", "1", "--size", "1G")
	memory := "<memory unit='GiB'>1</memory>"
	has := define(t, guest{name: guestPrefix + "has", memory: memory, backing: pages1G})
	lacks := define(t, guest{name: guestPrefix + "lacks", memory: memory, backing: pages1G})
	other := define(t, guest{name: guestPrefix + "other", backing: pages2M})
	letGo := keepEveryGiB(t)
	startPaused(t, has)

	const waits = "the kernel has been waiting in a write of "
	for range 2 {
		bounded(t, "the hook that needs a page", func() { startFails(t, lacks, waits) })
	}
	events, err := hook.Events(host.Host{Root: "/"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		t.Logf("the hook's %s: %s %s after %d ms", e.Operation, e.Result, e.Reason, e.Microseconds/1000)
		if e.Operation == "prepare" && e.Name == nameOf(t, lacks) && (e.Result != hook.Refused || e.Reason != hook.KernelWaits) {
			t.Errorf("the log says %+v", e)
		}
	}
	if t.Failed() {
		return
	}
	bounded(t, "the end of a guest that has its page", func() { destroy(t, has) })
	bounded(t, "its start, with the page still there", func() { startPaused(t, has) })
	const file = "hugepages-1048576kB/nr_hugepages, by process "
	bounded(t, "vmhuge start", func() { refused(t, 4, []string{file}, "start", "--paused", nameOf(t, lacks)) })
	for _, command := range []string{"check " + nameOf(t, lacks), "check", "status"} {
		bounded(t, "vmhuge "+command, func() {
			if r := vmhuge(t, strings.Fields(command)...); !strings.Contains(r.Stdout+r.Stderr, file) {
				t.Errorf("vmhuge %s does not tell: %d\n%s%s", command, r.Code, r.Stdout, r.Stderr)
			}
		})
	}
	bounded(t, "the start of a guest on other pages", func() { startPaused(t, other) })
	bounded(t, "its end", func() { destroy(t, other) })
	destroy(t, has)
	bounded(t, "vmhuge undo", func() { vmhuge(t, "undo") })
	if got := readTestPools(t); got[size1G].Nodes[0].Total != 1 || got[size2M].Nodes[0].Total != 0 {
		t.Errorf("the pools are %+v", got)
	}
	if n := len(writers(t)); n != 1 {
		t.Errorf("%d processes write", n)
	}

	letGo()
	for began := time.Now(); len(writers(t)) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			t.Fatal("the write does not end")
		}
	}
	t.Logf("pages of 1 GiB once it has ended: %+v", readTestPools(t)[size1G].Nodes[0])
	done(t, "status")
	if got := readTestPools(t)[size1G].Nodes[0].Total; got != atBoot {
		t.Errorf("%d pages of 1 GiB are left", got)
	}
	wantClaims(t)
	startPaused(t, lacks)
	destroy(t, lacks)
	wantClaims(t)
}

// keepEveryGiB has a file system keep a page of every 128 MiB, as long as it does not answer.
func keepEveryGiB(t *testing.T) (letGo func()) {
	t.Helper()
	const step = 128 * int(pages.MiB)
	keep, letGo := hosttest.Unread(t)
	var taken [][]byte
	for range 256 {
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			t.Fatal(err)
		}
		if info.Freeram*uint64(info.Unit) < 4*uint64(step) {
			break
		}
		// In large pages, for whose page tables the kernel needs no memory that it can't move.
		memory, err := unix.Mmap(-1, 0, step, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
		if err != nil {
			t.Fatal(err)
		}
		populate(t, memory)
		// And what the kernel has in pieces in small ones, so that the next is from another place.
		pieces := mapped(t, 16*int(pages.MiB))
		populate(t, pieces)
		taken = append(taken, memory, pieces)
		keep()
	}
	for _, memory := range taken {
		unmap(t, memory)
	}
	t.Logf("a file system keeps %d pages", len(taken)/2)
	return letGo
}

// writers are the processes that write pools for vmhuge.
func writers(t *testing.T) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, _ := os.ReadFile(file); strings.Contains(string(text), "\x00write-pool\x00") {
			found = append(found, file)
		}
	}
	return found
}
