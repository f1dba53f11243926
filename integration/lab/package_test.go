package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// putPackage builds the .debs of a version and puts one of them into the lab: those that install
// on every Debian. Of another tag, the programs in it are others. gzip packs faster than xz.
func (l *lab) putPackage(name, version, tag string) (deb string) {
	l.t.Helper()
	out := l.t.TempDir()
	cmd := exec.Command("../../packaging/build", out)
	cmd.Env = append(os.Environ(), "VERSION="+version, "SOURCE_DATE_EPOCH=1700000000", "MAINTAINER=Jo Doe <jo@debian.org>", "GOFLAGS=-tags="+tag, "PACKAGERS=deb", "COMPRESSION=gzip", "OLDEST=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("building the package: %v\n%s", err, text)
	}
	debs, _ := filepath.Glob(filepath.Join(out, name+"_*.deb"))
	if len(debs) != 1 {
		l.t.Fatalf("packaging/build made of %s %q", name, debs)
	}
	deb = "/var/tmp/" + name + "-" + version + ".deb"
	l.Put(debs[0], deb)
	return deb
}

// TestPackage installs, upgrades, removes and purges the package, with a guest
// on huge pages that must not notice; then goes a new user's way.
func TestPackage(t *testing.T) {
	l := boot(t, machine{nodes: 2})
	older := l.putPackage("vmhuge", "1.0", "older")
	newer := l.putPackage("vmhuge", "1.1", "newer")
	l.Put("first_steps", "/var/tmp/first_steps")
	l.define("tiny")
	const (
		files = "find /etc /usr /run/vmhuge /var/lib/vmhuge '(' -path /etc/libvirt/qemu -o -path /etc/apparmor.d/libvirt ')' -prune -o -printf '%p %y %m %u %g %s\\n' 2>&1 | sort"
		hook  = "/etc/libvirt/hooks/qemu.d/90-vmhuge"
	)
	noPages, before := l.Must(labPools), l.Must(files)
	apt := func(line string) string {
		t.Helper()
		r := l.Run("DEBIAN_FRONTEND=noninteractive apt-get --yes " + line)
		if r.Code != 0 {
			t.Fatalf("apt-get %s: %s%s", line, r.Stdout, r.Stderr)
		}
		return r.Stdout + r.Stderr
	}
	apt("install " + older)
	if out := l.Must("vmhuge --version"); out != "vmhuge version 1.0" {
		t.Error(out)
	}
	l.Must("! test -e " + hook) // it is for the user to want one
	l.Must("vmhuge enable tiny && vmhuge hook install --reload --host-reserve 1G && virsh start tiny && vmhuge verify tiny")
	const state = "echo $(cat /run/libvirt/qemu/tiny.pid) $(virsh domstate tiny)"
	running := l.Must(state)
	alive := func(when string) {
		t.Helper()
		if now := l.Must(state); now != running {
			t.Errorf("%s the guest is %q, and was %q", when, now, running)
		}
	}

	old := l.Must("sha256sum <" + hook)
	apt("install " + newer)
	alive("upgraded,")
	if l.Must("sha256sum <"+hook) == old {
		t.Error("upgraded, the hook is the old one")
	}
	l.Must("vmhuge verify tiny && vmhuge hook status && cmp " + hook + " /usr/lib/vmhuge/vmhuge-hook")
	if out := l.Must("cat /etc/vmhuge/hook.json"); !strings.Contains(out, `"host_reserve_kib":1048576`) {
		t.Errorf("upgraded, the hook's settings are %s", out)
	}

	if out := apt("remove vmhuge"); !regexp.MustCompile(`tiny +running`).MatchString(out) || !strings.Contains(out, "unless vmhuge is installed again") {
		t.Errorf("remove does not say whose pages will stay:\n%s", out)
	}
	alive("removed,")
	l.Must("! test -e " + hook + " && ! test -e /etc/vmhuge")
	if out := apt("purge vmhuge"); !strings.Contains(out, "/var/lib/vmhuge stays") {
		t.Errorf("purge does not say what stays:\n%s", out)
	}
	alive("purged,")

	// What was left is enough to go on with.
	apt("install " + newer)
	l.Must("vmhuge verify tiny && vmhuge stop --force --timeout 0s tiny && vmhuge disable tiny")
	apt("purge vmhuge")
	gone := func(when string) {
		t.Helper()
		if now := l.Must(labPools); now != noPages {
			t.Errorf("%s the pools are\n%s\nand were\n%s", when, now, noPages)
		}
		if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(l.Must(files), "\n")); diff != "" {
			t.Errorf("%s this is left (-before +after):\n%s", when, diff)
		}
	}
	gone("purged,")

	t.Log("\n" + l.Must("/var/tmp/first_steps "+newer+" tiny"))
	gone("after a new user's way")
}
