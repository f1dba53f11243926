package top

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// Lip Gloss knows the background before Bubble Tea would ask the terminal.
func TestNoQuery(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	trace, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, trace)
	}
	ours := bytes.Index(trace, []byte("init a.invalid/noquery @"))
	tea := bytes.Index(trace, []byte("init github.com/charmbracelet/bubbletea @"))
	if ours < 0 || tea < 0 || ours > tea {
		t.Errorf("noquery at %d, Bubble Tea at %d of:\n%s", ours, tea, trace)
	}
}
