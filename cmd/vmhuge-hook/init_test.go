package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// TestInit holds the packages of the hook to do next to nothing before main: every start
// of a guest waits for it. A regular expression takes some 25 allocations.
func TestInit(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// init vmhuge/xml @28 ms, 0.16 ms clock, 2960 bytes, 16 allocs
	initLine := regexp.MustCompile(`(?m)^init (vmhuge/\S+) .* (\d+) allocs$`)
	lines := initLine.FindAllStringSubmatch(string(out), -1)
	if len(lines) < 5 {
		t.Fatalf("of only %d packages it is known: %s", len(lines), out)
	}
	for _, line := range lines {
		if allocs, _ := strconv.Atoi(line[2]); allocs > 20 {
			t.Errorf("%s allocates before main: %s", line[1], line[0])
		}
	}
}
