package journal

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// A tool that hangs is ended, with all that it has started, and what it said is told.
func TestToolHangs(t *testing.T) {
	for name, script := range map[string]string{
		"it waits":                "echo probing; sleep 1000",
		"it takes no signal":      "trap '' TERM; echo probing; while :; do sleep 1; done",
		"what it started goes on": "echo probing; (trap '' TERM; while :; do sleep 1; done) & wait",
	} {
		pidFile := t.TempDir() + "/pid"
		began := time.Now()
		err := runFirst(300*time.Millisecond, 300*time.Millisecond, []string{"vmhuge-no-such-tool"}, []string{"sh", "-c", "echo $$ >" + pidFile + "; " + script})
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "probing") || took > 10*time.Second {
			t.Errorf("%s: %v, after %s", name, err, took)
		}
		text, readErr := os.ReadFile(pidFile)
		hosttest.Must(t, readErr)
		group, convErr := strconv.Atoi(strings.TrimSpace(string(text)))
		hosttest.Must(t, convErr)
		for end := time.Now().Add(5 * time.Second); syscall.Kill(-group, 0) == nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s: something of it still runs", name)
				_ = syscall.Kill(-group, syscall.SIGKILL)
				break
			}
		}
	}
	// A service is not ended, and not waited for.
	if err := runFirst(time.Minute, 100*time.Millisecond, []string{"sh", "-c", "sleep 20 & exit 0"}); err != nil {
		t.Error(err)
	}
	if err := runFirst(time.Minute, time.Second, []string{"sh", "-c", "exit 3"}); err == nil || !strings.HasSuffix(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
}

// update-grub that fails or is interrupted: prepare's change is taken back and off the record;
// undo's stays on record until it works.
func TestReaderFails(t *testing.T) {
	hosttest.InMountNamespace(t, func(t *testing.T) {
		tools := t.TempDir()
		t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
		for _, dir := range []string{"/etc/default", "/var/lib"} {
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
				t.Error(err)
				return
			}
		}
		const file = "/etc/default/grub"
		grubDoes := func(script string) {
			hosttest.Must(t, os.WriteFile(tools+"/update-grub", []byte("#!/bin/sh\n"+script+"\n"), 0o755))
		}
		grubEnds := func(code string) { grubDoes("echo no disk >&2\nexit " + code) }
		hosttest.WriteFile(t, file, "GRUB_TIMEOUT=1\n")
		h := host.Host{Root: "/"}
		j := Journal{Host: h}
		old, err := change.Look(h, change.KindFile, file)
		c := change.Change{Kind: change.KindFile, Path: file, From: old, To: strings.Replace(old, "TIMEOUT=1", "TIMEOUT=2", 1)}
		if err != nil || c.From == c.To {
			t.Errorf("%q %v", old, err)
			return
		}
		is := func(want string, records int) {
			t.Helper()
			text, err := os.ReadFile(file)
			changes, jerr := j.Changes()
			if err != nil || jerr != nil || string(text) != "GRUB_TIMEOUT="+want+"\n" || len(changes) != records {
				t.Errorf("%q, on record %v; %v %v", text, changes, err, jerr)
			}
		}
		grubEnds("1")
		if err := j.Apply([]change.Change{c}); err == nil || !strings.Contains(err.Error(), "no disk") {
			t.Errorf("%v", err)
		}
		is("1", 0)
		// Ctrl-C while it runs: it ends, and runs again for the file as it was.
		grubDoes("cat " + file + " >>" + tools + "/read\n! grep -q =2 " + file + " || { kill -INT $PPID; sleep 100; }")
		if err := j.Apply([]change.Change{c}); err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("%v", err)
		}
		is("1", 0)
		if read, err := os.ReadFile(tools + "/read"); err != nil || string(read) != "GRUB_TIMEOUT=2\nGRUB_TIMEOUT=1\n" {
			t.Errorf("update-grub has read %q, %v", read, err)
		}
		grubEnds("0")
		if err := j.Apply([]change.Change{c}); err != nil {
			t.Error(err)
		}
		is("2", 1)
		grubEnds("1")
		if _, _, err := j.Undo(); err == nil || !strings.Contains(err.Error(), "no disk") {
			t.Errorf("%v", err)
		}
		is("1", 1)
		grubDoes("kill -INT $PPID; sleep 100")
		if _, _, err := j.Undo(); err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("%v", err)
		}
		is("1", 1)
		grubEnds("0")
		if _, left, err := j.Undo(); err != nil || len(left) != 1 || left[0].Again { // it is as it was already
			t.Errorf("%v %v", left, err)
		}
		is("1", 0)
	})
}
