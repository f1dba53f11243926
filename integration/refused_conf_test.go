package integration

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestRefusedConf writes a qemu.conf that libvirt refuses. With a daemon that runs all
// goes on; none starts, and each answer names the file.
func TestRefusedConf(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	file(qemuConf, "", 0o600)(t)
	t.Cleanup(func() { // before file puts it back
		if err := errors.Join(os.WriteFile(qemuConf, nil, 0o600), libvirtd.startLibvirtd()); err != nil {
			t.Fatal(err)
		}
	})
	for i, test := range []struct{ line, why string }{
		{"user = libvirt", "line 2: expected a string, a number or a list"},
		{"user = 107", "line 2: libvirt expects a string as user"},
		{`namespaces = "mount"`, "line 2: libvirt expects a list of strings as namespaces"},
		{"hugetlbfs_mount = 0", "line 2: libvirt expects a string or a list of strings as hugetlbfs_mount"},
		{`security_driver = ["none", 1]`, "line 2: libvirt expects a string or a list of strings as security_driver"},
	} {
		why := qemuConf + ": " + test.why
		if err := os.WriteFile(qemuConf, []byte("\n"+test.line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if r := vmhuge(t, "check", name); r.Code != 3 || !strings.Contains(r.Stdout, why) {
				t.Errorf("beside a daemon: %d, %s", r.Code, r.Stdout)
			}
			if r := vmhuge(t, "start", "--paused", name); r.Code != 0 {
				t.Errorf("beside a daemon: %d, %s", r.Code, r.Stderr)
			}
			if r := vmhuge(t, "status", name); r.Code != 0 || !strings.Contains(r.Stdout, "100 %") {
				t.Errorf("beside a daemon: %d, %s", r.Code, r.Stdout+r.Stderr)
			}
			done(t, "stop", "--force", "--timeout", "0s", name)
			if err := libvirtd.stopLibvirtd(); err != nil {
				t.Fatal(err)
			}
		}
		err := libvirtd.startLibvirtd()
		if err == nil {
			t.Fatalf("libvirtd starts with %s", test.line)
		}
		if r := vmhuge(t, "explain", "--json", lastWords(err)); !strings.Contains(r.Stdout, `"conf-refused"`) {
			t.Errorf("%s: of %s\nexplain says %s", test.line, err, r.Stdout)
		}
		if r := vmhuge(t, "check", name); r.Code == 0 || !strings.Contains(r.Stderr, why+"; correct that line") {
			t.Errorf("%s: %d, %s", test.line, r.Code, r.Stderr)
		}
		lines, code := hostLines(t)
		if all := lines["hugetlbfs"] + lines["QEMU user"] + lines["/dev/kvm"]; code != 3 || !strings.Contains(all, "blocker "+why) {
			t.Errorf("%s: %d, %v", test.line, code, lines)
		}
	}
	if err := os.WriteFile(qemuConf, []byte(`hugetlbfs_mount = ["`+mount2M+`", "/etc"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	err := libvirtd.startLibvirtd()
	if err == nil {
		t.Fatal("libvirtd starts with a hugetlbfs_mount that is none")
	}
	if r := vmhuge(t, "explain", lastWords(err)); !strings.Contains(r.Stdout, "hugetlbfs_mount in qemu.conf names") {
		t.Errorf("of %s\nexplain says %s", err, r.Stdout)
	}
	hostSays(t, 3, map[string]string{"hugetlbfs": "blocker hugetlbfs_mount in " + qemuConf + " names /etc, which is not on a hugetlbfs"})
}

// lastWords is the end of an error that has libvirtd's whole log in it: that of all tests
// before is longer than an argument may be. It begins with a whole line: the rest of one
// can begin with a hyphen, that of a date, which explain takes for a flag.
func lastWords(err error) string {
	text := err.Error()
	if len(text) > 4000 {
		_, text, _ = strings.Cut(text[len(text)-4000:], "\n")
	}
	return text
}
