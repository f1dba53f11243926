package main

import (
	"os/exec"
	"strings"
	"testing"

	"vmhuge/lease"
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

// A new UUID is one that QEMU takes.
func TestUUIDForQEMU(t *testing.T) {
	a, b := lease.NewUUID(), lease.NewUUID()
	_, err := qemu.Read(strings.Fields("qemu-system-x86_64 -m 2 -uuid "+a), qemu.Options{Size: 2 << 20})
	if err != nil || a == b || len(a) != 36 || a[14] != '4' {
		t.Errorf("%s, %s, %v", a, b, err)
	}
}
