package integration

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDemo runs the README's demo on the tests' libvirtd.
func TestDemo(t *testing.T) {
	before := readTestPools(t)
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
	if after := readTestPools(t); after[size2M].Nodes[0] != before[size2M].Nodes[0] {
		t.Errorf("the pool was %v and is %v", before[size2M], after[size2M])
	}
	if names := domainNames(t); len(names) > 0 {
		t.Errorf("domains left: %q", names)
	}
}
