package lab

import (
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep"
)

// TestMemfd has a guest with a memfd under AppArmor, whose rules for guests, as libvirt has
// them, are enough for one on plain pages and not for one on huge pages. prepare adds the rule,
// undo takes it back, and virsh agrees with each verdict.
func TestMemfd(t *testing.T) {
	l := boot(t, machine{nodes: 2})
	l.putVmhuge()
	l.putHook()
	l.define("tiny")
	const rules = "cat /etc/apparmor.d/local/abstractions/libvirt-qemu || echo none"
	before := l.Must(rules)

	l.Must(`virsh dumpxml --inactive tiny | sed "s|<os>|<memoryBacking><source type='memfd'/></memoryBacking><os>|" | virsh define /dev/stdin`)
	l.Must("virsh start tiny && virsh destroy tiny")
	if out := l.Must("vmhuge enable --source memfd tiny"); !strings.Contains(out, "does not let QEMU write to a memfd on huge pages") || !strings.Contains(out, "vmhuge start does: ") {
		t.Errorf("enable: %s", out)
	}
	l.Must("vmhuge hook install --reload")

	refused := func(when string) {
		t.Helper()
		if r := l.reportOf(3, "vmhuge check tiny"); r.Verdict != hostprep.BadHost || !r.Fixable || !slices.ContainsFunc(r.Findings, func(f hostprep.Finding) bool {
			return f.Cause == hostprep.AppArmorMemfd && f.Severity == hostprep.Blocker
		}) {
			t.Errorf("%s: check: %+v", when, r)
		}
	}
	refused("as libvirt's rules are")
	if start := l.Run("virsh start tiny"); start.Code == 0 || !strings.Contains(start.Stderr, "failed to resize memfd to 100663296: Permission denied") {
		t.Errorf("start: %+v", start)
	}
	if out := l.Must("vmhuge explain --domain tiny"); !strings.Contains(out, `AppArmor denied qemu-system-x86`) || !strings.Contains(out, "  apparmor-memfd: ") {
		t.Errorf("explain: %s", out)
	}
	l.Must("vmhuge prepare tiny")
	if now := l.Must(rules); now != strings.TrimSpace(strings.TrimPrefix(before, "none")+"\n/ rw,") {
		t.Errorf("prepare has made %q of %q", now, before)
	}
	if r := l.report("vmhuge check tiny"); r.Verdict != hostprep.Ready {
		t.Errorf("prepared: %+v", r)
	}
	l.Must("virsh start tiny && vmhuge verify tiny && virsh destroy tiny")

	l.Must("vmhuge undo")
	if now := l.Must(rules); now != before {
		t.Errorf("undo has made %q of %q", now, before)
	}
	refused("undone")
}
