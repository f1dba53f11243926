package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

func TestMain(m *testing.M) {
	hosttest.HoldMap()
	os.Exit(m.Run())
}

// A process that may be a guest and can't be read delays no start for long, and the log
// names it.
func TestUnreadProcess(t *testing.T) {
	host := fixture(t)
	pid, _ := hosttest.HeldProcess(t, 0, "-uuid", uuid)
	addHeld(t, host, pid, pid)
	for range 2 { // the first finds no claim to ask about
		began := time.Now()
		code := run(host, []string{"", "web1", "prepare", "begin", "-"}, strings.NewReader(domain(40)), os.Stdout, os.Stderr)
		if took := time.Since(began); code != 0 || took > 5*time.Second {
			t.Errorf("exit code %d after %s", code, took)
		}
	}
	if e := lastEvent(t, host); e.Result != hook.Held || !strings.Contains(e.Why, fmt.Sprintf("process %d may be a guest, but its command line could not be read", pid)) {
		t.Errorf("%+v", e)
	}
}

// Sixty of them delay it no longer, where another guest is announced, whose process each of
// them may be.
func TestManyUnreadProcesses(t *testing.T) {
	host := fixture(t)
	pid, _ := hosttest.HeldProcess(t, 0, "-uuid", uuid)
	for i := range 60 {
		addHeld(t, host, 500000+i, pid)
	}
	begin("0cb4f2f2-5d2c-4f5e-8a31-6a0b6c5f8a11", 1)(t, host)
	began := time.Now()
	code := run(host, []string{"", "web1", "prepare", "begin", "-"}, strings.NewReader(domain(400)), os.Stdout, os.Stderr)
	if took := time.Since(began); code != 1 || took > 5*time.Second {
		t.Errorf("exit code %d after %s", code, took)
	}
}

// addHeld gives the host a process of QEMU's whose command line is that of the held process.
func addHeld(t *testing.T, host host.Host, pid, held int) {
	t.Helper()
	proc := host.Root.Path("proc", strconv.Itoa(pid))
	must(t, os.MkdirAll(proc, 0o755))
	must(t, os.Symlink("/usr/bin/qemu-system-x86_64", proc+"/exe"))
	must(t, os.Symlink(fmt.Sprintf("/proc/%d/cmdline", held), proc+"/cmdline"))
}
