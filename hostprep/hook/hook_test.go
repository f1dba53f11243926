package hook

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/hostfs"
)

// hookHost is a host with libvirt, none of whose daemons runs, and with a binary to install.
func hookHost(t *testing.T) host.Host {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- modes --\netc/libvirt/hooks/ 0755 0:0\nvar/lib/ 0755 0:0\n")}
	hosttest.Must(t, os.RemoveAll(h.Root.Path("run/libvirt/qemu/driver.pid")))
	hosttest.WriteFile(t, h.Root.Path("usr/lib/vmhuge/vmhuge-hook"), "program\n")
	return h
}

func installHook(t *testing.T, h host.Host, o Options) []change.Change {
	t.Helper()
	changes, err := Plan(h, o)
	hosttest.Must(t, err)
	hosttest.Must(t, Install(h, changes))
	again, err := Plan(h, o)
	if err != nil || len(again) > 0 {
		t.Errorf("a second run would do %v, %v", again, err)
	}
	return changes
}

// startDaemon has the fixture's libvirtd start now.
func startDaemon(t *testing.T, h host.Host) {
	t.Helper()
	time.Sleep(30 * time.Millisecond) // a file system's clock goes in steps
	now := time.Now()
	hosttest.WriteFile(t, h.Root.Path("proc/stat"), fmt.Sprintf("btime %d\n", now.Unix()))
	hosttest.WriteFile(t, h.Root.Path("proc/812/comm"), "libvirtd\n")
	hosttest.WriteFile(t, h.Root.Path("proc/812/stat"), fmt.Sprintf("812 (libvirtd) S 1 812 812 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 %d 1 1\n", now.Nanosecond()/1e7))
	hosttest.WriteFile(t, h.Root.Path("run/libvirt/qemu/driver.pid"), "812\n")
	time.Sleep(30 * time.Millisecond)
}

// The daemon must be told of the first hook, and of no other.
func TestHookReload(t *testing.T) {
	other := func(mode os.FileMode, path string) func(t *testing.T, h host.Host) {
		return func(t *testing.T, h host.Host) {
			hosttest.WriteFile(t, h.Root.Path("etc/libvirt/hooks", path), "#!/bin/sh\n")
			hosttest.Must(t, os.Chmod(h.Root.Path("etc/libvirt/hooks", path), mode))
		}
	}
	install := func(t *testing.T, h host.Host) { installHook(t, h, Options{}) }
	upgrade := func(t *testing.T, h host.Host) {
		hosttest.WriteFile(t, h.Root.Path("usr/lib/vmhuge/vmhuge-hook"), "newer program\n")
		install(t, h)
	}
	remove := func(t *testing.T, h host.Host) {
		_, left, err := Remove(h)
		if err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
	}
	told := func(t *testing.T, h host.Host) {
		d, err := ReloadPlan(h)
		hosttest.Must(t, err)
		hosttest.Must(t, rememberDaemon(h, *d))
	}
	called := func(t *testing.T, h host.Host) {
		hosttest.Must(t, os.MkdirAll(h.Root.Path("run/vmhuge"), 0o755))
		hosttest.Must(t, Log(h, Event{Time: time.Now(), Operation: "prepare", Result: Held}))
	}
	end := func(t *testing.T, h host.Host) { hosttest.Must(t, os.RemoveAll(h.Root.Path("proc/812"))) }
	type steps []func(t *testing.T, h host.Host)
	for name, test := range map[string]struct {
		steps steps
		want  bool
	}{
		"no daemon":                            {steps{install}, false},
		"the first hook":                       {steps{startDaemon, install}, true},
		"the daemon has ended":                 {steps{startDaemon, install, end}, false},
		"the daemon is younger":                {steps{install, startDaemon}, false},
		"restarted":                            {steps{startDaemon, install, startDaemon}, false},
		"told":                                 {steps{startDaemon, install, told}, false},
		"told, and restarted":                  {steps{startDaemon, install, told, startDaemon}, false},
		"called":                               {steps{startDaemon, install, called}, false},
		"called by an older daemon":            {steps{called, startDaemon, install}, true},
		"another hook before":                  {steps{other(0o755, "qemu"), startDaemon, install}, false},
		"another in the folder before":         {steps{other(0o700, "qemu.d/10-other"), startDaemon, install}, false},
		"another that can't be run":            {steps{other(0o644, "qemu"), startDaemon, install}, true},
		"another driver's":                     {steps{other(0o755, "network"), startDaemon, install}, true},
		"another one after":                    {steps{startDaemon, other(0o755, "qemu"), install}, true},
		"upgrade":                              {steps{install, startDaemon, upgrade}, false},
		"upgrade of one that was never called": {steps{startDaemon, install, upgrade}, true},
		"upgrade of one that it was told of":   {steps{startDaemon, install, told, upgrade}, false},
		"upgrade of one that was called":       {steps{startDaemon, install, called, upgrade}, false},
		"installed a second time":              {steps{startDaemon, install, told, remove, install}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for a file system's clock
			h := hookHost(t)
			for _, step := range test.steps {
				step(t, h)
			}
			d, err := ReloadPlan(h)
			if err != nil || (d != nil) != test.want {
				t.Errorf("%+v, %v; want %v", d, err, test.want)
			}
			s, err := ReadStatus(h)
			if err != nil || s.ReloadNeeded != test.want || s.Ready == test.want {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

// Before 6.5 libvirt runs one file alone. A newer one runs it, too: it stays.
func TestHookOfOldLibvirt(t *testing.T) {
	const alone = "/etc/libvirt/hooks/qemu"
	h := hookHost(t)
	old := Options{Libvirt: 6004000}
	changes := installHook(t, h, old)
	if len(changes) != 1 || changes[0].Path != alone {
		t.Errorf("changes: %v", changes)
	}
	if s, err := ReadStatus(h); err != nil || !s.Ready || s.Path != alone {
		t.Errorf("%+v, %v", s, err)
	}
	hosttest.WriteFile(t, h.Root.Path("usr/lib/vmhuge/vmhuge-hook"), "newer program\n")
	if changes := installHook(t, h, Options{Libvirt: 9000000}); len(changes) != 1 || changes[0].Path != alone {
		t.Errorf("changes: %v", changes)
	}
	changed, left, err := Remove(h)
	if err != nil || len(changed) != 1 || len(left) > 0 {
		t.Errorf("changed %v, left %v, %v", changed, left, err)
	}

	hosttest.WriteFile(t, h.Root.Path(alone), "#!/bin/sh\n")
	if _, err := Plan(h, old); err == nil || err.Error() != "installing the hook: "+alone+" is another program, and libvirt before 6.5 runs only that one; "+
		"make it pass its arguments and standard input to a copy of "+h.Root.Path("usr/lib/vmhuge/vmhuge-hook")+", or update libvirt" {
		t.Errorf("got %v", err)
	}
	if changes := installHook(t, h, Options{Libvirt: 6005000}); len(changes) != 2 || changes[1].Path != alone+".d/90-vmhuge" {
		t.Errorf("changes: %v", changes)
	}
}

// Any vmhuge-hook is known by what Go has written into it, wherever its record
// has gone.
func TestHookIsKnownByWhatItIs(t *testing.T) {
	h := hookHost(t)
	hook := h.Root.Path("etc/libvirt/hooks/qemu.d/90-vmhuge")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", hook, hookPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s, err := ReadStatus(h)
	if err != nil || !s.Installed || !s.Outdated || !s.Ready {
		t.Errorf("%+v, %v", s, err)
	}
	changes, err := Plan(h, Options{})
	if err != nil || len(changes) != 1 || !strings.HasPrefix(changes[0].From, "0755 0:0 sha256:") {
		t.Errorf("changes: %v, %v", changes, err)
	}
	changed, left, err := Remove(h)
	if _, serr := os.Stat(hook); err != nil || len(changed) != 1 || len(left) > 0 || !os.IsNotExist(serr) {
		t.Errorf("changed %v, left %v, %v; %v", changed, left, err, serr)
	}
}

// Killed at any point, the installation is finished by the next, and taken
// back by a removal.
func TestHookInstallKilled(t *testing.T) {
	o := Options{Settings: Settings{DropIfShort: true}}
	plan, err := Plan(hookHost(t), o)
	hosttest.Must(t, err)
	for made := range len(plan) + 1 {
		for _, finish := range []bool{false, true} {
			h := hookHost(t)
			before := hosttest.Tree(t, h.Root)
			plan, err := Plan(h, o)
			hosttest.Must(t, err)
			hosttest.Must(t, Journal(h).Adopt(plan))
			for _, c := range plan[:made] {
				hosttest.Must(t, journal.Apply(h, c))
			}
			if made < len(plan) && plan[made].Kind == change.KindMkdir {
				dir, name := path.Split(plan[made].Path)
				hosttest.Must(t, os.Mkdir(h.Root.Path(dir, "."+name+".vmhuge"), 0o700))
			}
			if finish {
				installHook(t, h, o)
			}
			_, left, err := Remove(h)
			if diff := cmp.Diff(before, hosttest.Tree(t, h.Root)); err != nil || len(left) > 0 || diff != "" {
				t.Errorf("killed after %d of %d changes, finished: %v: left %v, %v\n%s", made, len(plan), finish, left, err, diff)
			}
		}
	}
}

// A limit that lets the hook not run is no host for one: libvirt would fail every start.
func TestHookTooNarrow(t *testing.T) {
	h := hookHost(t)
	installHook(t, h, Options{})
	startDaemon(t, h)
	for _, test := range []struct{ data, addresses, words string }{
		{"unlimited", "unlimited", ""},
		{"1073741824", "8589934592", ""},
		{"unlimited", "204800000", "libvirtd (process 812) may map only 195.3 MiB, as its limit RLIMIT_AS says"},
		{"unlimited", "0", "RLIMIT_AS"},
		{"104857600", "unlimited", "libvirtd (process 812) may map only 100 MiB, as its limit RLIMIT_DATA says"},
		{"0", "unlimited", "take LimitDATA out of the unit of libvirtd"},
	} {
		hosttest.WriteFile(t, h.Root.Path("proc/812/limits"),
			"Limit                     Soft Limit           Hard Limit           Units     \n"+
				"Max data size             "+test.data+"            unlimited            bytes     \n"+
				"Max address space         "+test.addresses+"            unlimited            bytes     \n")
		_, err := Plan(h, Options{})
		if err == nil && test.words != "" || err != nil && (test.words == "" || !strings.Contains(err.Error(), test.words)) {
			t.Errorf("%+v: %v", test, err)
		}
		s, err := newStatus(h)
		if err != nil || s.Ready != (test.words == "") {
			t.Errorf("%+v: %+v, %v", test, s, err)
		}
	}
}

// A setting that is left of another libvirt is told.
func TestHookOfAnotherLibvirt(t *testing.T) {
	const left = "-- etc/vmhuge/libvirt.json --\n{\"sysconfdir\":\"/opt/old/etc\",\"runstatedir\":\"/opt/old/run\"}\n"
	for edit, want := range map[string]int{left: 1, "": 0, strings.Replace(left, "/opt/old", "/opt/libvirt", 2): 1,
		"-- etc/vmhuge/libvirt.json --\n{\"sysconfdir\":\"/opt/libvirt/etc\",\"localstatedir\":\"/opt/libvirt/var\",\"runstatedir\":\"/opt/libvirt/run\"}\n": 0,
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.Prefix+edit)}
		hosttest.Must(t, libvirtd.Locate(h))
		s, err := ReadStatus(h)
		hosttest.Must(t, err)
		if len(s.Findings) != want || want == 1 && s.Findings[0].Have != "/etc/vmhuge/libvirt.json is not about the running virtqemud, which has its configuration in /opt/libvirt/etc/libvirt" {
			t.Errorf("%s: %+v", edit, s.Findings)
		}
	}
}

// A hook goes to libvirt's own folder, and finds libvirt's files by the setting that comes with it.
func TestHookElsewhere(t *testing.T) {
	const program = "-- usr/lib/vmhuge/vmhuge-hook --\nprogram\n"
	for _, test := range []struct{ name, edit, hook, setting string }{
		{"in a prefix", hosttest.Prefix, "/opt/libvirt/etc/libvirt/hooks/qemu.d/90-vmhuge", `{"sysconfdir":"/opt/libvirt/etc","localstatedir":"/opt/libvirt/var","runstatedir":"/opt/libvirt/run"}`},
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", program+test.edit)}
		hosttest.Must(t, libvirtd.Locate(h))
		before := hosttest.Tree(t, h.Root)
		installHook(t, h, Options{Settings: Settings{DropIfShort: true}})
		if s, err := ReadStatus(h); err != nil || !s.Installed || s.Path != test.hook {
			t.Errorf("%s: %+v, %v", test.name, s, err)
		}
		if text, err := h.Root.Read(hostfs.LibvirtFile); err != nil || text != test.setting+"\n" {
			t.Errorf("%s: the setting is %q, %v", test.name, text, err)
		}
		if _, left, err := Remove(h); err != nil || len(left) > 0 {
			t.Errorf("%s: removed: %v, %v", test.name, left, err)
		}
		hosttest.Must(t, os.RemoveAll(h.Root.Path("var/lib/vmhuge")))
		if diff := cmp.Diff(before, hosttest.Tree(t, h.Root)); diff != "" {
			t.Errorf("%s: left:\n%s", test.name, diff)
		}
	}
}

// While an .rpm that has the hook in libexec replaces one that had it in lib, both are there.
func TestProgramDuringUpgrade(t *testing.T) {
	h := hookHost(t)
	newer := h.Root.Path("usr/libexec/vmhuge/vmhuge-hook")
	hosttest.WriteFile(t, newer, "newer program\n")
	if program, err := Program(h); err != nil || program != newer {
		t.Errorf("%s, %v would be installed", program, err)
	}
}

// NixOS makes the folder of hooks anew at each boot: a copy would not last, and a link of its
// configuration is the hook as it should be.
func TestHookOnNixOS(t *testing.T) {
	const program = "path\tvmhuge/cmd/vmhuge-hook\nmod\tvmhuge\t(devel)\n"
	const store, hooks = "nix/store/r1-vmhuge/libexec/vmhuge/vmhuge-hook", "/var/lib/libvirt/hooks/qemu.d"
	fresh := func(linkTo string) host.Host {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.Nix+"-- usr/libexec/vmhuge/vmhuge-hook --\n"+program+"-- "+store+" --\n"+program+"-- nix/store/other --\n#!/bin/sh\n-- modes --\n"+store+" 0555 0:0\n")}
		hosttest.Must(t, libvirtd.Locate(h))
		if linkTo != "" {
			hosttest.Must(t, os.MkdirAll(h.Root.Path(hooks), 0o755))
			hosttest.Must(t, os.Symlink(linkTo, h.Root.Path(hooks, "90-vmhuge")))
		}
		return h
	}
	const add = "installing the hook: NixOS makes " + hooks + " from its configuration, anew at each boot; add programs.vmhuge.hook.enable = true; to the configuration, with vmhuge's module for NixOS, and nixos-rebuild switch"
	for _, test := range []struct {
		name, link string
		settings   Settings
		installed  bool
		plan       string
		removal    string
	}{
		{name: "none", plan: add},
		{name: "another's", link: "/nix/store/other", plan: "installing the hook: " + hooks + "/90-vmhuge exists and is not vmhuge's; move it out of that folder, where libvirt runs every file"},
		{name: "ours", link: "/" + store, installed: true,
			removal: "removing the hook: NixOS makes it from its configuration; remove programs.vmhuge.hook.enable = true; there, and nixos-rebuild switch"},
		{name: "other settings", link: "/" + store, installed: true, settings: Settings{DropIfShort: true},
			plan:    "installing the hook: NixOS makes its settings from its configuration; set programs.vmhuge.hook.dropIfShort and hostReserveKiB there, and nixos-rebuild switch",
			removal: "removing the hook: NixOS makes it from its configuration; remove programs.vmhuge.hook.enable = true; there, and nixos-rebuild switch"},
	} {
		h := fresh(test.link)
		said := func(err error) string {
			if err == nil {
				return ""
			}
			return err.Error()
		}
		if changes, err := Plan(h, Options{Settings: test.settings}); len(changes) > 0 || said(err) != test.plan {
			t.Errorf("%s: install would do %v, says %v", test.name, changes, err)
		}
		if _, _, err := Remove(h); said(err) != test.removal {
			t.Errorf("%s: remove says %v", test.name, err)
		}
		if s, err := ReadStatus(h); err != nil || s.Installed != test.installed || s.Outdated {
			t.Errorf("%s: %+v, %v", test.name, s, err)
		}
	}
	h := fresh("/" + store)
	hosttest.WriteFile(t, h.Root.Path("usr/libexec/vmhuge/vmhuge-hook"), program+"newer")
	if s, err := ReadStatus(h); err != nil || !s.Outdated || !strings.Contains(fmt.Sprint(s.Findings), "systemctl restart libvirtd-config") {
		t.Errorf("of another version it is %+v, %v", s, err)
	}
}
