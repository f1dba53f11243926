package integration

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
)

// hookStatus is what vmhuge says of the hook.
func hookStatus(t *testing.T, wantCode int) hook.Status {
	t.Helper()
	r := vmhuge(t, "hook", "status", "--json")
	var answer struct{ Hook hook.Status }
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || r.Code != wantCode {
		t.Errorf("hook status: exit code %d, want %d; %v\n%s%s", r.Code, wantCode, err, r.Stdout, r.Stderr)
	}
	return answer.Hook
}

// TestHookInstall installs the hook for a libvirtd that found none when it
// started, and takes it away again.
func TestHookInstall(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	restartLibvirtd(t)
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	defer func() { _ = vmhuge(t, "hook", "remove") }()
	// calls says how often a start and an end of the guest called the hook.
	calls := func() (n int) {
		before, err := hook.Events(host.Host{Root: "/"})
		if err != nil {
			t.Fatal(err)
		}
		startPaused(t, dom)
		destroy(t, dom)
		after, err := hook.Events(host.Host{Root: "/"})
		if err != nil {
			t.Fatal(err)
		}
		return len(after) - len(before)
	}

	if s := hookStatus(t, 3); s.Installed {
		t.Errorf("before: %+v", s)
	}
	if r := done(t, "hook", "install"); !strings.Contains(r.Stderr, "run vmhuge hook install --reload") {
		t.Errorf("install does not say that libvirtd must be told: %+v", r)
	}
	if s := hookStatus(t, 3); !s.Installed || !s.ReloadNeeded || s.Outdated {
		t.Errorf("before the reload: %+v", s)
	}
	if n := calls(); n != 0 {
		t.Errorf("before the reload it was called %d times", n)
	}

	if r := done(t, "hook", "install", "--reload"); !strings.Contains(r.Stdout, "hook: done: kill -HUP ") {
		t.Errorf("install --reload: %+v", r)
	}
	if s := hookStatus(t, 0); s.ReloadNeeded || s.LastCall != nil {
		t.Errorf("after the reload: %+v", s)
	}
	waitUntil(t, "libvirtd calls the hook", func() bool { return calls() > 0 })
	if e := lastCall(t, name); e.Operation == "" || e.Result == hook.Failed {
		t.Errorf("the last call: %+v", e)
	}
	if s := hookStatus(t, 0); s.LastCall == nil || s.LastCall.Name != name {
		t.Errorf("after a call: %+v", s)
	}
	if r := done(t, "status"); !strings.Contains(r.Stdout, "hook   "+hookFile+", last called at ") {
		t.Errorf("status says: %s", r.Stdout)
	}
	if r := done(t, "hook", "install", "--reload"); !strings.Contains(r.Stdout, "nothing to do") {
		t.Errorf("a second installation: %+v", r)
	}
	restartLibvirtd(t)
	hookStatus(t, 0)

	// libvirt runs what can be run, whatever its name: the status warns of it.
	dom = lookup(t, name)
	defer dom.Free()
	leftover := hookDir + "/.old~"
	if err := os.WriteFile(leftover, []byte("#!/bin/sh\nexit 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(leftover)
	startPaused(t, dom)
	destroy(t, dom)
	if s := hookStatus(t, 0); len(s.Findings) > 0 {
		t.Errorf("with a file that can't be run: %+v", s)
	}
	if err := os.Chmod(leftover, 0o755); err != nil {
		t.Fatal(err)
	}
	startFails(t, dom, leftover)
	if s := hookStatus(t, 0); len(s.Findings) != 1 {
		t.Errorf("with a file that makes every start fail: %+v", s)
	}
	if err := os.Remove(leftover); err != nil {
		t.Fatal(err)
	}

	done(t, "hook", "remove")
	if n := calls(); n != 0 {
		t.Errorf("after it was removed it was called %d times", n)
	}
	if r := done(t, "hook", "remove"); r.Stdout != "hook: not installed\n" {
		t.Errorf("remove says: %+v", r)
	}
	if s := hookStatus(t, 3); s.Installed {
		t.Errorf("after it was removed: %+v", s)
	}
}
