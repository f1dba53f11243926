package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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

// TestGuestOfTwo lets two make the demo's guest at once, as the tests' lanes do on a
// machine that never had it: each finds it whole, and nothing of the other's work.
func TestGuestOfTwo(t *testing.T) {
	dir := t.TempDir()
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if out, err := exec.Command("../examples/guest", dir).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			files, _ := filepath.Glob(dir + "/*")
			if len(files) != 3 { // with the recipe that they are made by
				t.Errorf("there are %q", files)
			}
		})
	}
	both.Wait()
}
