package lab

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
)

// TestSELinux has a Debian whose SELinux enforces. Its daemon may not run hooks: vmhuge
// installs none, and tells of one that is there, with which no guest starts. With the package
// vmhuge-selinux the daemon runs vmhuge's hook in that one's domain, nothing of what vmhuge
// does is denied, and each file has the label that restorecon gives it.
func TestSELinux(t *testing.T) {
	if !strings.HasSuffix(suite(), "-selinux") {
		t.Skip("SELinux is off on " + suite() + ": just selinux runs it where it is on")
	}
	l := boot(t, machine{}) // of 2 GiB, of which the host would keep all
	l.putVmhuge()
	l.putHook()
	policy := l.putPackage("vmhuge-selinux", "1.0", "selinux")
	l.define("tiny")
	const (
		hook    = "/etc/libvirt/hooks/qemu.d/90-vmhuge"
		install = "vmhuge hook install --reload --host-reserve 512M"
		files   = "find /etc /usr/local /var/lib/vmhuge '(' -path /etc/libvirt/qemu -o -path /etc/selinux ')' -prune -o -printf '%p %y %m %u %g %Z\\n' 2>&1 | sort"
		wrong   = "restorecon -n -v -R /etc /usr/local /dev/hugepages /run/vmhuge /var/lib/vmhuge 2>/dev/null | grep Would; true"
		denied  = "cat /var/log/audit/audit.log; dmesg"
	)
	l.Must("test $(getenforce) = Enforcing && virsh version >/dev/null && grep -q virtd_t /proc/$(systemctl show -p MainPID --value libvirtd)/attr/current")
	noPages, before, wrongBefore := l.Must(labPools), l.Must(files), l.Must(wrong)
	l.Must("vmhuge enable tiny")

	// The policy as it is: the kernel's own decision, and then its word for it.
	const denial = "SELinux denies virtd_t execute, execute_no_trans of a file of type virt_hook_t (" + hook + ")"
	const cure = "install the package vmhuge-selinux"
	if r := l.Run(install); r.Code != 1 || !strings.Contains(r.Stderr, denial) || !strings.Contains(r.Stderr, cure) {
		t.Errorf("hook install without the policy: %+v", r)
	}
	l.Must("! test -e " + hook)
	l.Must("install -D /usr/local/bin/vmhuge-hook " + hook + " && systemctl reload libvirtd")
	if r := l.reportOf(3, "vmhuge check tiny"); !slices.ContainsFunc(r.Findings, func(f hostprep.Finding) bool {
		return f.Cause == hostprep.HookDenied && strings.Contains(f.Have, denial) && strings.Contains(f.Do, cure)
	}) {
		t.Errorf("check with a hook that may not run: %+v", r)
	}
	if out := l.Run("vmhuge check").Stdout; !strings.Contains(out, "blocker  hook           "+denial) {
		t.Errorf("check of the host: %s", out)
	}
	start := l.Run("virsh start tiny")
	if start.Code == 0 || !strings.Contains(start.Stderr, "exit status 126") || !strings.Contains(start.Stderr, hook+": Permission denied") {
		t.Errorf("a start with a hook that may not run: %+v", start)
	}
	for what, line := range map[string]string{
		"libvirt's message": "virsh start tiny 2>&1",
		"auditd's records":  "grep 'avc: .*90-vmhuge' /var/log/audit/audit.log",
		"ausearch":          "ausearch --input-logs -m avc -c rpc-libvirtd",
	} {
		if out := l.Must(line + " | vmhuge explain"); !strings.Contains(out, "hook-denied: ") || !strings.Contains(out, "the package vmhuge-selinux") {
			t.Errorf("explain with %s: %s", what, out)
		}
	}
	l.Must("vmhuge hook remove && rmdir /etc/libvirt/hooks/qemu.d && systemctl reload libvirtd")

	// Debian's policy keeps huge pages from guests, too: check says of what libvirt and QEMU
	// will do what they then do, and nothing of a guest on ordinary pages.
	l.Must("sysctl -qw vm.nr_hugepages=48")
	keeps := func(source, denial, permission, said string) {
		t.Helper()
		l.Must("vmhuge enable --source " + source + " tiny")
		blocked := func(f hostprep.Finding) bool {
			return f.Severity == hostprep.Blocker && strings.Contains(f.Have, denial) && strings.Contains(f.Do, cure)
		}
		if r := l.reportOf(3, "vmhuge check tiny"); r.Verdict != hostprep.NoAccess || !slices.ContainsFunc(r.Findings, blocked) {
			t.Errorf("check of a guest on a %s without the module: %+v", source, r)
		}
		if r := l.Run("vmhuge start tiny"); r.Code != 3 || !strings.Contains(r.Stdout+r.Stderr, denial) {
			t.Errorf("vmhuge start of it: %+v", r)
		}
		if r := l.Run("virsh start tiny"); r.Code == 0 || !strings.Contains(r.Stderr, said) {
			t.Errorf("virsh start of it: %+v", r)
		}
		if out := l.Must("virsh start tiny 2>&1 | vmhuge explain"); !strings.Contains(out, permission) || !strings.Contains(out, cure) {
			t.Errorf("explain with that: %s", out)
		}
		if out := l.Must("vmhuge explain --domain tiny"); !strings.Contains(out, permission) || !strings.Contains(out, cure) || strings.Contains(out, "ended-silently") {
			t.Errorf("explain with the domain's log: %s", out)
		}
	}
	const relabel, mapping = "SELinux denies virtd_t relabelfrom of a dir of type hugetlbfs_t", "SELinux denies svirt_t map of a file of type svirt_image_t"
	if out := l.Run("vmhuge check").Stdout; !strings.Contains(out, "blocker  SELinux        "+relabel) {
		t.Errorf("check of the host: %s", out)
	}
	keeps("file", relabel, `"relabelfrom"`, "unable to set security context")
	keeps("memfd", mapping, `"map"`, "Permission denied")
	l.Must("vmhuge disable tiny && virsh start tiny && virsh destroy tiny")
	l.Must("sysctl -qw vm.nr_hugepages=0 && vmhuge enable --source file tiny")

	// With the package.
	l.Must("dpkg --install " + policy + " && semodule -l | grep -qx vmhuge")
	l.Must("auditctl -a always,exit -F arch=b64 -S execve -F subj_type=vmhuge_hook_t; >/var/log/audit/audit.log; dmesg --clear")
	l.Must(install + " && vmhuge hook status")
	if out := l.Run("vmhuge check; vmhuge check tiny").Stdout; strings.Contains(out, "SELinux denies") {
		t.Errorf("check with the module: %s", out)
	}
	l.Must("virsh start tiny && vmhuge verify tiny")
	if calls := l.calls(); !slices.Equal(calls, []string{"prepare held"}) {
		t.Errorf("the hook's calls were %q", calls)
	}
	if out := l.Must("grep type=SYSCALL /var/log/audit/audit.log"); !strings.Contains(out, `exe="`+hook+`" subj=system_u:system_r:vmhuge_hook_t:s0 `) {
		t.Errorf("the hook did not run in its domain: %s", out)
	}
	l.Must("virsh destroy tiny")
	if now := l.Must(labPools); now != noPages {
		t.Errorf("after the guest the pools are\n%s\nand were\n%s", now, noPages)
	}

	t.Log(l.Must("vmhuge prepare tiny --persist --mount-group --restart-libvirt --host-reserve 512M"))
	l.Must("virsh start tiny && vmhuge verify tiny && systemctl restart vmhuge.service")
	if now := l.Must(wrong); now != wrongBefore {
		t.Errorf("restorecon would change\n%s\nand before vmhuge\n%s", now, wrongBefore)
	}
	l.Must("virsh destroy tiny && vmhuge enable --source memfd tiny && virsh start tiny && vmhuge verify tiny")
	l.Must("virsh destroy tiny && vmhuge undo && vmhuge start tiny --host-reserve 512M && vmhuge stop --force --timeout 0s tiny && vmhuge disable tiny")
	for line := range strings.Lines(l.Must(denied)) {
		if strings.Contains(line, "avc:") && strings.Contains(line, "huge") {
			t.Errorf("SELinux has denied: %s", line)
		}
	}

	// The package's removal takes the hook first, and guests start without it.
	l.Must("dpkg --purge vmhuge-selinux && ! semodule -l | grep -qx vmhuge && ! test -e " + hook)
	l.Must("virsh start tiny && virsh destroy tiny")
	if now := l.Must(labPools); now != noPages {
		t.Errorf("at the end the pools are\n%s\nand were\n%s", now, noPages)
	}
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(l.Must(files), "\n")); diff != "" {
		t.Errorf("this is left (-before +after):\n%s", diff)
	}
}
