package hook

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

func TestHookUnderSELinux(t *testing.T) {
	const hookFile = "/etc/libvirt/hooks/qemu.d/90-vmhuge"
	const denied = "SELinux denies virtqemud_t execute, execute_no_trans of a file of type virt_hook_t (" + hookFile + "): virtqemud could not run the hook, and no guest would start"
	unpack := func(t *testing.T, edit string) host.Host {
		h := host.Host{Root: hosttest.Unpack(t, "fedora-selinux", hosttest.SELinux()+"-- modes --\netc/libvirt/hooks/ 0755 0:0\nvar/lib/ 0755 0:0\n"+edit)}
		hosttest.WriteFile(t, h.Root.Path("usr/lib/vmhuge/vmhuge-hook"), "program\n")
		return h
	}
	noDaemon := "-- run/libvirt/qemu/driver.pid --\n"
	for _, test := range []struct{ name, edit, want, do string }{
		{"the policy as it is", hosttest.HookContexts, denied, "install the package vmhuge-selinux, which has a policy for it"},
		{"its module is there, but not loaded", hosttest.HookContexts + "-- usr/share/selinux/packages/vmhuge.cil --\n(type x)\n", denied, "semodule -i /usr/share/selinux/packages/vmhuge.cil"},
		{"no daemon runs", hosttest.HookContexts + noDaemon + "-- usr/sbin/virtqemud --\nELF\n", denied, "install the package vmhuge-selinux, which has a policy for it"},
		{"with the module", hosttest.HookContexts + hosttest.HookModule, "", ""},
		{"permissive", hosttest.HookContexts + "-- sys/fs/selinux/enforce --\n0\n", "", ""},
		{"off", hosttest.HookContexts + "-- sys/fs/selinux/enforce --\n", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := unpack(t, test.edit)
			if strings.Contains(test.edit, "usr/sbin/virtqemud") {
				hosttest.Must(t, unix.Setxattr(h.Root.Path("usr/sbin/virtqemud"), "security.selinux", []byte("system_u:object_r:virtqemud_exec_t:s0\x00"), 0))
			}
			_, err := Plan(h, Options{})
			want := ""
			if test.want != "" {
				want = "installing the hook: " + test.want + "; " + test.do
			}
			if got := fmt.Sprint(err); want != "" && got != want || want == "" && err != nil {
				t.Errorf("%s\nwant %s", got, want)
			}
		})
	}

	// The policy has no rules for libvirt's files elsewhere.
	elsewhere := unpack(t, hosttest.HookContexts+"-- modes --\nopt/libvirt/etc/libvirt/hooks/qemu.d/ 0755 0:0\n")
	elsewhere.Root.SetLibvirt(hostfs.Libvirt{Etc: "/opt/libvirt/etc", Var: "/var", Run: "/run"})
	hosttest.Must(t, unix.Setxattr(elsewhere.Root.Path("opt/libvirt/etc/libvirt/hooks/qemu.d"), "security.selinux", []byte("system_u:object_r:virt_hook_t:s0\x00"), 0))
	const cure = "semanage fcontext -a -e /etc/libvirt /opt/libvirt/etc/libvirt && restorecon -R /opt/libvirt/etc/libvirt; then install the package vmhuge-selinux, "
	if _, err := Plan(elsewhere, Options{}); err == nil || !strings.Contains(err.Error(), "; "+cure) {
		t.Errorf("%v", err)
	}

	// Installed with the module, it has the module's type; with another, the status and its
	// cure say so.
	h := unpack(t, hosttest.HookContexts+hosttest.HookModule)
	installHook(t, h, Options{})
	label := make([]byte, 100)
	n, err := unix.Getxattr(h.Root.Path(hookFile), "security.selinux", label)
	if want := "system_u:object_r:vmhuge_hook_exec_t:s0\x00"; err != nil || string(label[:n]) != want {
		t.Errorf("the label is %q, %v; want %q", label[:max(n, 0)], err, want)
	}
	find := func() []hostprep.Finding {
		s, err := ReadStatus(host.Host{Root: h.Root})
		hosttest.Must(t, err)
		var of []hostprep.Finding
		for _, f := range s.Findings {
			if f.Cause == hostprep.HookDenied {
				of = append(of, f)
			}
		}
		return of
	}
	if found := find(); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	text := func() string {
		s, err := ReadStatus(host.Host{Root: h.Root})
		hosttest.Must(t, err)
		return s.String()
	}
	if got := text(); strings.Contains(got, "may not run") {
		t.Errorf("the status is %q", got)
	}
	hosttest.Must(t, unix.Setxattr(h.Root.Path(hookFile), "security.selinux", []byte("system_u:object_r:virt_hook_t:s0\x00"), 0))
	if got, want := text(), hookFile+", but libvirt may not run it, and no guest starts"; got != want {
		t.Errorf("the status is %q", got)
	}
	found := find()
	if len(found) != 1 || found[0].Have != denied || found[0].Do != "restorecon -v "+hookFile+"; or vmhuge hook remove" || found[0].Severity != hostprep.Blocker || found[0].Need == "" {
		t.Errorf("%+v", found)
	}
}
