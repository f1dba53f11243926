package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// compile makes a policy of testdata/policy.cil and modules, and returns a function that asks
// libsepol for what the policy decides.
func compile(t *testing.T, modules ...string) func(question ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "policy")
	output(t, slices.Concat([]string{"secilc", "-c", "31", "-o", binary, "-f", binary + ".contexts", "testdata/policy.cil"}, modules)...)
	return func(question ...string) string {
		// The contexts are numbered as they come, after that of the kernel.
		input := append([]string{"2", domain("virtqemud"), "2", object("vmhuge_hook_exec"), "2", object("virt_hook"), "2", domain("vmhuge_hook"), "2", domain("svirt"),
			"2", object("shadow"), "2", object("sysfs"), "2", object("var_run"), "2", object("virt_etc_rw"), "2", domain("syslogd"), "2", object("syslogd_var_run"),
			"2", object("hugetlbfs"), "2", object("svirt_image")}, question...)
		cmd := exec.Command("checkpolicy", "-M", "-b", "-d", binary)
		cmd.Stdin = strings.NewReader(strings.Join(append(input, "q"), "\n") + "\n")
		text, _ := cmd.CombinedOutput() // it ends with 1
		answers := regexp.MustCompile(`(?m)^(sid [0-9]+|allowed \{.*\})$`).FindAllString(string(text), -1)
		if len(answers) == 0 {
			t.Fatalf("checkpolicy says: %s; run: sudo ./just deps-test", text)
		}
		return answers[len(answers)-1]
	}
}

func domain(name string) string { return "system_u:system_r:" + name + "_t:s0" }
func object(name string) string { return "system_u:object_r:" + name + "_t:s0" }

// The sids of the contexts of compile. Debian's daemon is the kernel's sid of policy.cil.
const virtd, virtqemud, hookFile, otherHook, hook, svirt, shadow, sysfs, run, debianHook, syslogd, journal, hugetlbfs, image = "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14"

func TestPolicy(t *testing.T) {
	const file, process, transition, access = "file", "process", "3", "0"
	with := compile(t, "selinux/vmhuge.cil")
	for _, daemon := range []string{virtd, virtqemud} {
		if got := with(transition, daemon, hookFile, process); got != "sid "+hook {
			t.Errorf("daemon %s runs the hook as %s, not in its domain", daemon, got)
		}
	}
	for _, test := range []struct {
		subject, object, class string
		may, mayNot            []string
	}{
		{virtqemud, hookFile, file, []string{"read", "open", "execute"}, []string{"write", "unlink", "execute_no_trans"}},
		{virtd, hookFile, file, []string{"read", "open", "execute"}, []string{"write", "unlink", "execute_no_trans"}},
		{virtqemud, otherHook, file, []string{"read"}, []string{"execute"}}, // of no other hook
		{virtd, debianHook, file, []string{"read"}, []string{"execute"}},
		{virtqemud, hook, process, []string{"transition"}, []string{"dyntransition"}},
		{virtd, hook, process, []string{"transition"}, []string{"dyntransition"}},
		{hook, hookFile, file, []string{"entrypoint", "read", "map", "execute"}, []string{"write"}},
		{hook, otherHook, file, []string{"read"}, []string{"execute", "entrypoint", "write"}},
		{hook, svirt, file, []string{"read", "open"}, []string{"write"}}, // /proc/PID/smaps
		{hook, svirt, process, []string{"getattr"}, []string{"ptrace", "sigkill", "transition"}},
		{hook, sysfs, file, []string{"read", "write"}, []string{"create"}},
		{hook, run, file, []string{"create", "write", "rename", "unlink"}, []string{"execute"}},
		{hook, syslogd, "unix_dgram_socket", []string{"sendto"}, []string{"read"}},
		{hook, journal, "sock_file", []string{"write"}, nil},
		{virtd, hugetlbfs, "dir", []string{"relabelfrom"}, []string{"write"}},
		{virtqemud, hugetlbfs, "dir", []string{"relabelfrom"}, []string{"write"}},
		{svirt, image, file, []string{"map"}, []string{"execute"}},
		{hook, shadow, file, nil, []string{"read", "write"}},
	} {
		got := with(access, test.subject, test.object, test.class)
		allowed := strings.Fields(strings.Trim(strings.TrimPrefix(got, "allowed "), "{} "))
		for _, p := range test.may {
			if !slices.Contains(allowed, p) {
				t.Errorf("sid %s may not %s a %s of sid %s: %s", test.subject, p, test.class, test.object, got)
			}
		}
		for _, p := range test.mayNot {
			if slices.Contains(allowed, p) {
				t.Errorf("sid %s may %s a %s of sid %s", test.subject, p, test.class, test.object)
			}
		}
	}
}

// The scripts load and unload the module only where a policy is in use, and take an installed
// hook away before the module that lets libvirt run it.
func TestPolicyScripts(t *testing.T) {
	for line, want := range map[string]string{
		"postinst configure # on":      "semodule -i /usr/share/selinux/packages/vmhuge.cil; restorecon -R /etc/libvirt/hooks",
		"postinst 1 # on":              "semodule -i /usr/share/selinux/packages/vmhuge.cil; restorecon -R /etc/libvirt/hooks",
		"postinst configure 1.0":       "",
		"postinst abort-upgrade # on":  "",
		"prerm remove # on":            "semodule -l; vmhuge hook remove; semodule -r vmhuge",
		"prerm 0 # on":                 "semodule -l; vmhuge hook remove; semodule -r vmhuge",
		"prerm remove # other modules": "semodule -l",
		"prerm upgrade 1.1 # on":       "",
		"prerm 1 # on":                 "",
	} {
		dir := t.TempDir()
		words, state, _ := strings.Cut(line, " # ")
		enabled, modules := "1", "virt\nvmhugely"
		if state == "on" {
			enabled, modules = "0", "virt\nvmhuge"
		}
		for name, does := range map[string]string{"semodule": `[ "$1" != -l ] || echo "` + modules + `"`, "restorecon": "", "vmhuge": "", "selinuxenabled": "exit " + enabled} {
			say := `echo "` + name + ` $*" >>"$CALLS"` + "\n"
			if name == "selinuxenabled" {
				say = ""
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+say+does+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		calls := filepath.Join(dir, "calls")
		args := strings.Fields(words)
		cmd := exec.Command("sh", append([]string{"selinux/" + args[0]}, args[1:]...)...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+calls)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		text, err := os.ReadFile(calls)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "; "); got != want {
			t.Errorf("%s calls %q, not %q", line, got, want)
		}
	}
}
