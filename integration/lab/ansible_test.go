package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// touched is what the role changes.
const touched = "for d in $(virsh list --all --name | sort); do virsh dumpxml --inactive $d; done; ls -R /etc/libvirt/hooks /etc/vmhuge /etc/sysctl.d /var/lib/vmhuge 2>&1; " + labPools

// TestAnsible has the collection's role set up a Debian over ssh: a check changes
// nothing, the first run everything, the second nothing more. Then a plain virsh start
// finds its pages.
func TestAnsible(t *testing.T) {
	l := boot(t, machine{nodes: 2})
	l.putVmhuge()
	l.putHook()
	l.define("tiny")
	before := l.Must(touched)
	hosts := inventory{"lab": {lab: l, Domains: []any{"tiny"}}}

	hosts.play(t, "changed=2", "--check", "--diff") // the guests are not prepared for: it goes by what is not changed yet
	if now := l.Must(touched); now != before {
		t.Errorf("--check has changed the host:\n%s\nwas\n%s", now, before)
	}
	hosts.play(t, "changed=2")
	hosts.play(t, "changed=0")

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

// threeHosts boots three Debians of 1.5 GiB, each with two nodes.
func threeHosts(t *testing.T) []*lab {
	t.Helper()
	var labs []*lab
	for range 3 {
		l := boot(t, machine{nodes: 2, memoryMiB: 768})
		l.putVmhuge()
		labs = append(labs, l)
	}
	return labs
}

// TestAnsibleThreeHosts sets up three Debians one after the other, for guests of different
// sizes; a second run changes nothing, and taken back, all is as it was.
func TestAnsibleThreeHosts(t *testing.T) {
	labs := threeHosts(t)
	hosts := inventory{}
	before := make([]string, len(labs))
	for i, l := range labs {
		l.putHook()
		guests := []any{}
		for n, mib := range [][]int{{16, 64}, {96}, {32, 48}}[i] {
			name := fmt.Sprintf("guest%d", n)
			l.define(name)
			l.Must(fmt.Sprintf("virsh setmaxmem %s %dMiB --config && virsh setmem %[1]s %[2]dMiB --config", name, mib))
			guests = append(guests, name)
		}
		if i == 2 { // not each guest by its name alone
			guests[1] = map[string]any{"name": guests[1], "threads": "2", "keep": "1h"}
		}
		hosts[fmt.Sprintf("host%d", i+1)] = host{lab: l, Domains: guests}
		before[i] = l.Must(touched)
	}

	hosts.play(t, "changed=2", "--check")
	same := func(when string) {
		t.Helper()
		for i, l := range labs {
			if diff := cmp.Diff(strings.Split(before[i], "\n"), strings.Split(l.Must(touched), "\n")); diff != "" {
				t.Errorf("%s, host %d is another (-before +after):\n%s", when, i+1, diff)
			}
		}
	}
	same("after a check")
	out := hosts.play(t, "changed=2")
	if n := strings.Count(out, "PLAY [Guests on huge pages]"); n != 3 {
		t.Errorf("not one host after the other, but in %d turns", n)
	}
	hosts.play(t, "changed=0")

	for i, l := range labs {
		for _, name := range strings.Fields(l.Must("virsh list --all --name")) {
			l.Must("virsh start " + name + " && vmhuge verify " + name)
		}
		want := []string{"40", "48", "40"}[i] // pages of 2 MiB for all that run
		if got := l.Must("sysctl -n vm.nr_hugepages"); got != want {
			t.Errorf("host %d has %s pages, not %s", i+1, got, want)
		}
		l.Must("for d in $(virsh list --name); do virsh destroy $d; done")
	}

	hosts.play(t, "changed=2", "--extra-vars", "vmhuge_state=absent")
	same("taken back")
	hosts.play(t, "changed=0", "--extra-vars", "vmhuge_state=absent")
}

// host is one of an inventory.
type host struct {
	*lab    `json:"-"`
	Domains []any `json:"vmhuge_domains"`
}

// inventory is the hosts of a playbook, by their names.
type inventory map[string]host

// MarshalJSON writes it as Ansible reads it.
func (hosts inventory) MarshalJSON() ([]byte, error) {
	all := map[string]any{}
	for name, h := range hosts {
		ssh := h.sshArguments()
		all[name] = map[string]any{"vmhuge_domains": h.Domains, "vmhuge_host_reserve": "512M",
			"ansible_ssh_args": "-o HostName=127.0.0.1 " + strings.Join(ssh[:len(ssh)-1], " ")}
	}
	return json.Marshal(map[string]any{"hypervisors": map[string]any{"hosts": all}})
}

var recap = regexp.MustCompile(`(?m)^\S+ +: ok=.*$`)

// play runs the playbook as a user would, and wants so much of each host in its recap.
func (hosts inventory) play(t *testing.T, want string, options ...string) string {
	t.Helper()
	collections, err := collection()
	if err != nil {
		t.Fatalf("%v; where there is none, run: sudo ./just deps-test", err)
	}
	text, err := json.Marshal(hosts)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hosts.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// The names of the example's guests give way to those of the inventory.
	play, err := os.ReadFile("../../ansible/playbooks/site.yml")
	if err != nil {
		t.Fatal(err)
	}
	site := filepath.Join(filepath.Dir(file), "site.yml")
	if err := os.WriteFile(site, regexp.MustCompile(`(?m)^ +vmhuge_domains:.*\n`).ReplaceAll(play, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ansible-playbook", append([]string{site, "--inventory", file, "--user", "root"}, options...)...)
	cmd.Env = append(os.Environ(), "ANSIBLE_PIPELINING=true", "ANSIBLE_NOCOLOR=true", "ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3",
		"ANSIBLE_COLLECTIONS_PATHS="+collections)
	out, err := cmd.CombinedOutput()
	t.Logf("ansible-playbook %s\n%s", strings.Join(options, " "), out)
	if err != nil {
		t.Fatal(err)
	}
	lines := recap.FindAllString(string(out), -1)
	if len(lines) != len(hosts) || slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(line, want) || !strings.Contains(line, "failed=0") }) {
		t.Errorf("no %s:\n%s", want, strings.Join(lines, "\n"))
	}
	return string(out)
}

// collection returns the folder that the collection is installed in, of its package.
var collection = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(programsDir, "collections")
	build := exec.Command("../../packaging/build-ansible", dir)
	tarball, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("building the collection: %w", err)
	}
	out, err := exec.Command("ansible-galaxy", "collection", "install", "--offline", "--collections-path", dir, strings.TrimSpace(string(tarball))).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("installing the collection: %w\n%s", err, out)
	}
	return dir, nil
})
