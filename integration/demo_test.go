package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDemo runs the README's demo on the tests' libvirtd, and as on a machine where none
// runs, with one of its own.
func TestDemo(t *testing.T) {
	for name, command := range map[string][]string{
		"a libvirtd runs": {"../examples/demo"},
		"none runs":       {"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "../examples/demo", "--inside"},
	} {
		t.Run(name, func(t *testing.T) {
			hostAsBefore(t)
			out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, words := range []string{"+    <hugepages>", "vmhuge-demo: guest is up, MemTotal: ", "all 256 MiB of its RAM on huge pages", "The page pools are as before."} {
				if !strings.Contains(string(out), words) {
					t.Errorf("no %q in:\n%s", words, out)
				}
			}
			if _, err := os.Stat(stateDir); err == nil {
				t.Errorf("%s is left", stateDir)
			}
		})
	}
}
