package main

import (
	"os/exec"
	"strings"
	"testing"

	"vmhuge/qemu"
)

// What quote writes, a shell reads back.
func TestQuote(t *testing.T) {
	for _, word := range []string{"a", "", "a b", "it's", `\`, "$HOME", "a\nb", "*", "~", "-m", "size=1,,2", `{"a":"b"}`, "é"} {
		out, err := exec.Command("sh", "-c", "printf '%s.' "+quote(word)).Output()
		if err != nil || string(out) != word+"." {
			t.Errorf("%q became %s, and %q, %v", word, quote(word), out, err)
		}
	}
}

func TestExitCode(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -9 $$": 137, "kill -15 $$": 143} {
		cmd := exec.Command("sh", "-c", script)
		_ = cmd.Run()
		if got := exitCode(cmd.ProcessState); got != want {
			t.Errorf("%s: %d, not %d", script, got, want)
		}
	}
}

// A new UUID is one that QEMU takes.
func TestNewUUID(t *testing.T) {
	a, b := newUUID(), newUUID()
	_, err := qemu.Read(strings.Fields("qemu-system-x86_64 -m 2 -uuid "+a), qemu.Options{Size: 2 << 20})
	if err != nil || a == b || len(a) != 36 || a[14] != '4' {
		t.Errorf("%s, %s, %v", a, b, err)
	}
}
