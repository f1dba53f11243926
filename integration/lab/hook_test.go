package lab

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/hook"
)

// putHook puts the hook beside vmhuge.
func (l *lab) putHook() {
	l.t.Helper()
	l.Put(l.program("vmhuge-hook"), "/usr/local/bin/vmhuge-hook")
}

// calls returns what the hook did since the lab's boot: "prepare held".
func (l *lab) calls() []string {
	l.t.Helper()
	var calls []string
	for line := range strings.Lines(l.Must("cat /run/vmhuge/hook.log")) {
		var e hook.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			l.t.Fatalf("%s: %v", line, err)
		}
		call := e.Operation + " " + string(e.Result)
		if e.Why != "" {
			call += ": " + e.Why
		}
		calls = append(calls, call)
	}
	return calls
}

// TestHook starts a guest with vmhuge on a Debian as it comes, under AppArmor, before and
// after a reboot. In between it installs the hook, and has systemd's libvirtd start guests
// in all the ways that vmhuge does not begin: virsh, autostart at boot, a saved state.
func TestHook(t *testing.T) {
	l := boot(t, machine{nodes: 2}) // of 4 GiB, of which the host keeps 2
	l.putVmhuge()
	l.putHook()
	l.define("tiny")
	const files = "find /etc /usr/local /var/lib/vmhuge '(' -path /etc/libvirt/qemu -o -path /etc/apparmor.d/libvirt ')' -prune -o -type f -exec sha256sum {} + -o -printf '%p %y %m %u %g\\n' 2>&1 | sort"
	noPages, before := l.Must(labPools), l.Must(files)
	want := func(calls ...string) {
		t.Helper()
		if got := l.calls(); !slices.Equal(got, calls) {
			t.Errorf("the hook's calls were\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(calls, "\n"))
		}
	}
	gone := func(when string) {
		t.Helper()
		if now := l.Must(labPools); now != noPages {
			t.Errorf("%s the pools are\n%s\nand were\n%s", when, now, noPages)
		}
	}
	l.Must("vmhuge enable tiny")
	l.startAndStop("after the first boot")

	if out := l.Run("virsh start tiny"); !strings.Contains(out.Stderr, "Cannot allocate memory") {
		t.Errorf("without pages and without the hook: %+v", out)
	}
	l.Must("vmhuge hook install --reload")
	l.Must("vmhuge hook status")
	l.Must("virsh start tiny")
	l.Must("vmhuge verify tiny")
	want("prepare held")

	// The restart of libvirt's daemon calls reconnect, which must leave the guest alone.
	l.Must("systemctl restart " + daemon() + " && virsh domstate tiny")
	l.Must("vmhuge verify tiny")
	want("prepare held")

	l.Must("virsh managedsave tiny")
	gone("saved,")
	l.Must("virsh start tiny && vmhuge verify tiny")
	want("prepare held", "release released", "prepare held")
	l.Must("virsh destroy tiny")
	gone("destroyed,")
	want("prepare held", "release released", "prepare held", "release released")

	// systemd sets the pool anew while a guest runs: its number is what stays.
	l.Must("virsh start tiny")
	l.Must("echo 'vm.nr_hugepages = 3' > /etc/sysctl.d/50-db.conf && systemctl restart systemd-sysctl && virsh destroy tiny")
	if n := l.Must("sysctl -n vm.nr_hugepages"); strings.TrimSpace(n) != "3" {
		t.Errorf("systemd-sysctl has set 3 pages, and %s are left", n)
	}
	l.Must("rm /etc/sysctl.d/50-db.conf && sysctl -qw vm.nr_hugepages=0")
	gone("set by systemd-sysctl,")

	l.Must("virsh autostart tiny")
	l.Reboot()
	// libvirtd starts with its socket's first caller, or by itself; its guests after it.
	deadline := time.Now().Add(3 * time.Minute)
	for l.Run("virsh domstate tiny").Stdout != "running\n\n" && time.Now().Before(deadline) {
		time.Sleep(time.Second)
	}
	l.Must("vmhuge verify tiny")
	want("prepare held")
	l.Must("virsh autostart --disable tiny; virsh destroy tiny")
	gone("after the autostart")

	for profile, mode := range l.profiles() {
		if strings.HasPrefix(profile, daemon()) && mode != "enforce" {
			t.Errorf("AppArmor's mode of %s is %q", profile, mode)
		}
	}
	if denied := l.Run("journalctl -k -b --grep 'DENIED.*vmhuge'").Stdout; strings.Contains(denied, "DENIED") {
		t.Errorf("AppArmor has refused:\n%s", denied)
	}
	l.Must("vmhuge hook remove")
	l.startAndStop("after a reboot")
	l.Must("vmhuge disable tiny")
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(l.Must(files), "\n")); diff != "" {
		t.Errorf("removed, it leaves (-before +after):\n%s", diff)
	}
}
