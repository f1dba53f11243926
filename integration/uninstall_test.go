package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUninstall takes vmhuge off a host that it was set up on in every way: not while a
// guest uses pages that it added, and then all of it.
func TestUninstall(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	dom, other := define(t, guest{}), define(t, guest{name: domainName(t) + "-other"})
	name, before, untouched := nameOf(t, dom), definition(t, dom), definition(t, other)
	defer func() { _ = vmhuge(t, "hook", "remove") }()
	done(t, "enable", name)
	done(t, "hook", "install", "--reload")
	done(t, "prepare", "--pages", "4", "--size", "2M")
	done(t, "start", name)

	enabled := definition(t, dom)
	for _, args := range [][]string{{"--yes"}, {"--dry-run"}, nil} {
		r := vmhuge(t, append([]string{"uninstall"}, args...)...)
		if r.Code != 1 || !strings.Contains(r.Stderr, "are in use by "+name) {
			t.Errorf("uninstall %q while the guest runs: %+v", args, r)
		}
	}
	if definition(t, dom) != enabled || !hookStatus(t, 0).Installed {
		t.Error("what was refused was done")
	}

	done(t, "stop", name, "--force", "--timeout", "0s")
	if r := vmhuge(t, "uninstall"); r.Code != 2 || definition(t, dom) != enabled {
		t.Errorf("uninstall without --yes: %+v", r)
	}
	// What a kill after each step leaves, the next run finishes.
	done(t, "disable", name)
	done(t, "hook", "remove")
	if r := done(t, "uninstall", "--yes"); !strings.Contains(r.Stdout, "undo: 8 MiB of huge pages freed") {
		t.Errorf("uninstall after a killed one: %+v", r)
	}
	done(t, "enable", name)
	done(t, "hook", "install", "--reload")
	done(t, "prepare", "--pages", "4", "--size", "2M")
	if r := done(t, "uninstall", "--yes"); !strings.Contains(r.Stdout, name+": disabled") || strings.Contains(r.Stdout, nameOf(t, other)) {
		t.Errorf("uninstall: %+v", r)
	}
	if definition(t, dom) != before || definition(t, other) != untouched {
		t.Error("a definition is not as it was before enable")
	}
	for _, path := range []string{hookFile, "/var/lib/vmhuge", "/etc/vmhuge"} {
		if _, err := os.Lstat(path); err == nil {
			left, _ := filepath.Glob(path + "/*")
			t.Errorf("%s is left, with %v", path, left)
		}
	}
	done(t, "uninstall", "--yes")
}
