package integration

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDemo runs the README's demo on the tests' libvirtd.
func TestDemo(t *testing.T) {
	hostAsBefore(t)
	cmd := exec.Command("../examples/demo")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, words := range []string{"+    <hugepages>", "vmhuge-demo: guest is up, MemTotal: ", "all 256 MiB of its RAM on huge pages", "The page pools are as before."} {
		if !strings.Contains(string(out), words) {
			t.Errorf("no %q in:\n%s", words, out)
		}
	}
}
