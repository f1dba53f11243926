package selinux

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// fixture is a host with a policy of two classes.
func fixture(t *testing.T, edit string) host.Host {
	t.Helper()
	text := "-- sys/fs/selinux/enforce --\n1\n-- sys/fs/selinux/class/file/index --\n6\n-- sys/fs/selinux/class/process/index --\n2\n"
	for i, name := range []string{"read", "open", "execute", "map", "execute_no_trans", "entrypoint"} {
		text += fmt.Sprintf("-- sys/fs/selinux/class/file/perms/%s --\n%d\n", name, i+1)
	}
	text += "-- sys/fs/selinux/class/process/perms/transition --\n2\n"
	return host.Host{Root: hosttest.Unpack(t, "no-libvirt", text+edit)}
}

func TestExecution(t *testing.T) {
	const daemon, hook, domain = "s:r:virtqemud_t:s0", "s:o:virt_hook_t:s0", "s:r:vmhuge_hook_t:s0"
	stays := "-- sys/fs/selinux/create --\n" + daemon + " " + hook + " 2 = " + daemon + "\n"
	moves := "-- sys/fs/selinux/create --\n" + daemon + " " + hook + " 2 = " + domain + "\n"
	asked := func(subject, object string, class int, answer string) string {
		return fmt.Sprintf("%s %s %d = %s\n", subject, object, class, answer)
	}
	const access = "-- sys/fs/selinux/access --\n"
	for name, test := range map[string]struct{ edit, want string }{
		"may run it":       {stays + access + asked(daemon, hook, 6, "17 ffffffff 0 0 7 0"), ""},
		"may only read it": {stays + access + asked(daemon, hook, 6, "3 ffffffff 0 0 7 0"), "SELinux denies virtqemud_t execute, execute_no_trans of a file of type virt_hook_t"},
		"is permissive":    {stays + access + asked(daemon, hook, 6, "3 ffffffff 0 0 7 1"), ""},
		"runs it in a domain": {moves + access + asked(daemon, hook, 6, "7 ffffffff 0 0 7 0") + asked(daemon, domain, 2, "2 ffffffff 0 0 7 0") +
			asked(domain, hook, 6, "2d ffffffff 0 0 7 0"), ""},
		"may not change to it": {moves + access + asked(daemon, hook, 6, "7 ffffffff 0 0 7 0") + asked(daemon, domain, 2, "0 ffffffff 0 0 7 0"),
			"SELinux denies virtqemud_t transition of a process of type vmhuge_hook_t"},
		"which may not start with it": {moves + access + asked(daemon, hook, 6, "7 ffffffff 0 0 7 0") + asked(daemon, domain, 2, "2 ffffffff 0 0 7 0") +
			asked(domain, hook, 6, "d ffffffff 0 0 7 0"), "SELinux denies vmhuge_hook_t entrypoint of a file of type virt_hook_t"},
		"an older kernel's answer, without flags": {stays + access + asked(daemon, hook, 6, "17 ffffffff 0 0 7"), ""},
		"no decision":                       {stays + access + asked(daemon, hook, 6, "no"), `error: /sys/fs/selinux/access: "no" is not a decision`},
		"a context that the kernel refuses": {stays + access + "x\n", "error: write /sys/fs/selinux/access " + daemon + " " + hook + " 6: invalid argument"},
	} {
		d, err := Execution(fixture(t, test.edit), daemon, hook)
		got := ""
		switch {
		case err != nil:
			got = "error: " + err.Error()
		case d != nil:
			got = d.String()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestLabel(t *testing.T) {
	const contexts = "etc/selinux/targeted/contexts/files/file_contexts"
	const policy = "-- " + contexts + ` --
/.*	system_u:object_r:default_t:s0
/etc/.*	system_u:object_r:etc_t:s0
/etc/libvirt	-d	system_u:object_r:virt_etc_t:s0
/etc/libvirt/[^/]*	--	system_u:object_r:virt_etc_t:s0
/etc/libvirt/.*/.*	system_u:object_r:virt_etc_rw_t:s0
/etc/libvirt/hooks(/.*)?	system_u:object_r:virt_hook_t:s0
/etc/libvirt/hooks/qemu\.d/90-vmhuge	--	system_u:object_r:vmhuge_hook_exec_t:s0
/usr/s?bin/x	system_u:object_r:x_t:s0
/usr/(?=y)y	system_u:object_r:y_t:s0
/dev/hugepages(/.*)?	<<none>>
/var/run/vmhuge(/.*)?	system_u:object_r:vmhuge_run_t:s0
# /etc/.* comment
`
	const local = "-- " + contexts + ".local --\n/etc/libvirt/hooks/qemu\\.d/.*\tsystem_u:object_r:mine_t:s0\n"
	for name, test := range map[string]struct {
		edit, path string
		kind       uint32
		want       string
	}{
		"the last that matches":          {policy, "/etc/libvirt/hooks/qemu.d/10-x", unix.S_IFREG, "virt_hook_t"},
		"a path without metacharacters":  {policy + local, "/etc/libvirt/hooks/qemu.d/90-vmhuge", unix.S_IFREG, "vmhuge_hook_exec_t"},
		"but not of another kind":        {policy, "/etc/libvirt/hooks/qemu.d/90-vmhuge", unix.S_IFDIR, "virt_hook_t"},
		"the administrator's":            {policy + local, "/etc/libvirt/hooks/qemu.d/10-x", unix.S_IFREG, "mine_t"},
		"a letter that may be missing":   {policy, "/usr/bin/x", unix.S_IFREG, "x_t"},
		"an expression that is PCRE's":   {policy, "/usr/y", unix.S_IFREG, "default_t"},
		"the whole path":                 {policy, "/etc/libvirt/hooks2", unix.S_IFREG, "virt_etc_t"},
		"a rule that there is none":      {policy, "/dev/hugepages/alice", unix.S_IFDIR, ""},
		"an alias":                       {policy + "-- " + contexts + ".subs_dist --\n/run /var/run\n", "/run/vmhuge/hook.log", unix.S_IFREG, "vmhuge_run_t"},
		"no alias for a longer name":     {policy + "-- " + contexts + ".subs_dist --\n/run /var/run\n", "/running", unix.S_IFREG, "default_t"},
		"another policy":                 {policy + "-- etc/selinux/config --\n# SELINUXTYPE=x\nSELINUXTYPE=mls\n", "/etc/x", unix.S_IFREG, ""},
		"SELinux is off, with its files": {policy + "-- sys/fs/selinux/enforce --\n", "/etc/x", unix.S_IFREG, ""},
	} {
		label, err := Label(fixture(t, test.edit), test.path, test.kind)
		if label != "" {
			label = Type(label)
		}
		if err != nil || label != test.want {
			t.Errorf("%s: %q, %v; want %q", name, label, err, test.want)
		}
	}
}

func FuzzMatches(f *testing.F) {
	for _, s := range []string{`/etc/libvirt/hooks(/.*)?`, `/usr/s?bin`, `/a|/b`, `/a\.b`, `/a{2}`, `/x[ab]*`} {
		f.Add(s, "/etc/libvirt/hooks/qemu")
	}
	f.Fuzz(func(t *testing.T, expression, path string) {
		if strings.HasPrefix(expression, "/") && !isExpression(expression) && unescape(expression) == path && !strings.Contains(expression, `\`) && !matches(expression, path) {
			t.Errorf("%q does not match itself", expression)
		}
	})
}
