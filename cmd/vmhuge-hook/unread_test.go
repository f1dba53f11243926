package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"vmhuge/hostprep/hook"
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
	proc := host.Root.Path("proc", strconv.Itoa(pid))
	must(t, os.MkdirAll(proc, 0o755))
	must(t, os.Symlink("/usr/bin/qemu-system-x86_64", proc+"/exe"))
	must(t, os.Symlink(fmt.Sprintf("/proc/%d/cmdline", pid), proc+"/cmdline"))
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
