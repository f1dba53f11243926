package lab

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestAnsible has the example's role set up a Debian over ssh: a check changes
// nothing, the first run everything, the second nothing more. Then a plain virsh start
// finds its pages.
func TestAnsible(t *testing.T) {
	l := boot(t, machine{nodes: 2})
	l.putVmhuge()
	l.putHook()
	l.define("tiny")
	const touched = "virsh dumpxml --inactive tiny; ls -R /etc/libvirt/hooks /etc/vmhuge /etc/sysctl.d /var/lib/vmhuge 2>&1; " + labPools
	before := l.Must(touched)

	l.play("changed=2", "--check") // prepare goes by what enable has not changed
	if now := l.Must(touched); now != before {
		t.Errorf("--check has changed the host:\n%s\nwas\n%s", now, before)
	}
	l.play("changed=3")
	l.play("changed=0")

	l.Must("vmhuge hook status")
	for command, want := range map[string]string{
		"virsh dumpxml --inactive tiny --xpath '//hugepages/page/@size'": `size="2048"`,
		"sysctl -n vm.nr_hugepages":                                      "48",
		"grep ^vm /etc/sysctl.d/99-vmhuge.conf":                          "vm.nr_hugepages = 48",
	} {
		if got := strings.TrimSpace(l.Must(command)); got != want {
			t.Errorf("%s: %q, not %q", command, got, want)
		}
	}
	l.Must("virsh start tiny && vmhuge verify tiny")
}

// play runs the playbook on the lab, as a user would, and wants its last line to
// say so much.
func (l *lab) play(want string, options ...string) {
	l.t.Helper()
	args := append([]string{"site.yml", "--inventory", "hypervisors,", "--user", "root", "--extra-vars", `{"vmhuge_domains": ["tiny"]}`}, options...)
	cmd := exec.Command("ansible-playbook", args...)
	cmd.Dir = "../../examples/ansible"
	ssh := l.sshArguments()
	cmd.Env = append(os.Environ(), "ANSIBLE_PIPELINING=true", "ANSIBLE_NOCOLOR=true", "ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3",
		"ANSIBLE_SSH_ARGS=-o HostName=127.0.0.1 "+strings.Join(ssh[:len(ssh)-1], " "))
	out, err := cmd.CombinedOutput()
	l.t.Logf("ansible-playbook %s\n%s", strings.Join(options, " "), out)
	if err != nil {
		l.t.Fatalf("%v; where there is none, run: sudo ./just deps-test", err)
	}
	if !strings.Contains(string(out), want) || !strings.Contains(string(out), "failed=0") {
		l.t.Errorf("no %s", want)
	}
}
