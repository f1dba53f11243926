package integration

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/docs/schema"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

// streamLine is what a line of status --watch --json says, as far as it is looked at.
type streamLine struct {
	launcher.Status
	DomainsError *struct{ What string } `json:"domains_error"`
	Changed      []string
}

// TestStatusStream follows guests and a libvirtd that goes away, and ends with its reader.
func TestStatusStream(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	installHook(t)
	cmd := exec.CommandContext(t.Context(), filepath.Join(scratch, "bin", "vmhuge"), "status", "--watch", "--json")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan streamLine, 64)
	go func() {
		for text := bufio.NewReader(out); ; {
			line, err := text.ReadBytes('\n')
			if err != nil {
				return
			}
			var s streamLine
			if err := json.Unmarshal(line, &s); err != nil {
				t.Error(err)
			}
			if err := schema.Check("status", 0, line); err != nil {
				t.Error(err)
			}
			lines <- s
		}
	}()
	until := func(what string, field string, is func(s streamLine) bool) {
		t.Helper()
		for timeout := time.After(hangs); ; {
			select {
			case s := <-lines:
				if is(s) && (field == "" || slices.Contains(s.Changed, field)) {
					return
				}
			case <-timeout:
				t.Fatalf("no line tells that %s", what)
			}
		}
	}
	until("there is a libvirt", "", func(s streamLine) bool { return s.DomainsError == nil && s.Changed == nil })
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	state := func(want launcher.State, backed float64) func(s streamLine) bool {
		return func(s streamLine) bool {
			return slices.ContainsFunc(s.Domains, func(d launcher.DomainStatus) bool {
				return d.Name == name && d.State == want && (backed == 0 || d.Proof != nil && d.Proof.BackedPercent == backed)
			})
		}
	}
	until("it is defined", "domains", state(launcher.ShutOff, 0))
	startPaused(t, dom)
	until("it runs on huge pages", "domains", state(launcher.Paused, 100))
	if err := libvirtd.stopLibvirtd(); err != nil {
		t.Fatal(err)
	}
	until("libvirtd is gone", "domains_error", func(s streamLine) bool { return s.DomainsError != nil && len(s.Pools) > 0 })
	if err := libvirtd.startLibvirtd(); err != nil {
		t.Fatal(err)
	}
	until("libvirtd is back", "domains_error", func(s streamLine) bool { return s.DomainsError == nil })
	dom = lookup(t, name)
	destroy(t, dom)
	until("it is off", "domains", state(launcher.ShutOff, 0))
	// Who follows leaves the pages of a guest that ended to the hook.
	if e := lastCall(t, name); e.Operation != "release" || e.Given != 64*pages.MiB {
		t.Errorf("the hook's log says %+v", e)
	}
	// The last of what belongs to the end of a guest may still come; then there is silence.
	for quiet := false; !quiet; {
		select {
		case <-lines:
		case <-time.After(5 * time.Second):
			quiet = true
		}
	}
	out.Close() // it has nothing to write, and ends all the same
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("its reader went away: %v", err)
		}
	case <-time.After(hangs):
		t.Error("it goes on without a reader")
		_ = cmd.Process.Signal(unix.SIGKILL)
	}
}
