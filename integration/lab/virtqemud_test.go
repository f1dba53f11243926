package lab

import (
	"strings"
	"testing"
)

// isSplit says whether libvirt's daemons are split in this suite.
func isSplit() bool { return strings.HasSuffix(suite(), "-virtqemud") }

// daemon is the one that starts guests, and also its unit.
func daemon() string {
	if isSplit() {
		return "virtqemud"
	}
	return "libvirtd"
}

// madeBy are the scripts that make this suite's image.
func madeBy() []string {
	if isSplit() {
		return []string{"image", "virtqemud", "../matrix/chroot", "../testdata/virtqemud"}
	}
	return []string{"image"}
}

// TestVirtqemud has the daemon that Fedora has, with systemd: it starts with its socket's first
// caller, and ends when it is idle. Nothing may depend on whether it runs at that moment.
func TestVirtqemud(t *testing.T) {
	if !isSplit() {
		t.Skip("libvirt is one daemon on " + suite() + ": just lab trixie-virtqemud runs it where there are many")
	}
	l := boot(t, machine{nodes: 2}) // of 4 GiB, of which the host keeps 2
	l.putVmhuge()
	l.putHook()
	l.Must("! command -v libvirtd")
	l.define("tiny")
	// idle has the daemon end as it does after two minutes, in ten seconds.
	l.Must("echo 'VIRTQEMUD_ARGS=\"--timeout 10\"' >/etc/default/virtqemud && systemctl restart virtqemud")
	idle := func() {
		t.Helper()
		l.Must("for i in $(seq 600); do systemctl -q is-active virtqemud || exit 0; sleep 0.5; done; exit 1")
		l.Must("systemctl -q is-active virtqemud.socket virtqemud-ro.socket virtqemud-admin.socket virtlogd.socket")
	}
	// says wants a command to succeed while the daemon does not run, to print these words, and
	// never to speak of libvirtd.
	says := func(line, want string) {
		t.Helper()
		idle()
		r := l.Run(line)
		if out := r.Stdout + r.Stderr; r.Code != 0 || !strings.Contains(out, want) || strings.Contains(out, "libvirtd") {
			t.Errorf("%s: exit code %d, without %q or with libvirtd:\n%s", line, r.Code, want, out)
		}
	}
	noPages := l.Must(labPools)
	says("vmhuge check -v", "virtqemud")
	says("vmhuge status", "tiny")
	says("vmhuge enable tiny", "tiny")
	says("vmhuge check tiny || test $? = 4", "not ready (no-memory)")
	says("vmhuge start tiny", "tiny")
	l.Must("systemctl -q is-active virtqemud") // it does not end while a guest runs
	l.Must("vmhuge verify tiny")
	l.Must("systemctl restart virtqemud && vmhuge verify tiny")
	l.Must("systemctl stop virtqemud && vmhuge verify tiny") // the guest goes on without it
	l.Must("vmhuge stop --force --timeout 0s tiny")
	if now := l.Must(labPools); now != noPages {
		t.Errorf("stopped, the pools are\n%s\nand were\n%s", now, noPages)
	}
	says("vmhuge hook install", "90-vmhuge")
	says("vmhuge hook status", "90-vmhuge")
	l.Must("virsh start tiny && vmhuge verify tiny") // a daemon that has just started finds the hook
	l.Must("virsh destroy tiny")
	if now := l.Must(labPools); now != noPages {
		t.Errorf("destroyed, the pools are\n%s\nand were\n%s", now, noPages)
	}
	says("vmhuge hook remove", "")
	says("vmhuge disable tiny", "")
	l.Must("virsh undefine tiny")
	for _, unit := range []string{"libvirtd", "virtproxyd"} {
		if state := l.Run("systemctl is-active " + unit).Stdout; state != "inactive\n" {
			t.Errorf("%s is %s", unit, state)
		}
	}
}
