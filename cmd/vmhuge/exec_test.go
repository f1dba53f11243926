package main

import (
	"strings"
	"testing"

	"vmhuge/lease"
	"vmhuge/qemu"
)

// A new UUID is one that QEMU takes.
func TestUUIDForQEMU(t *testing.T) {
	a, b := lease.NewUUID(), lease.NewUUID()
	_, err := qemu.Read(strings.Fields("qemu-system-x86_64 -m 2 -uuid "+a), qemu.Options{Size: 2 << 20})
	if err != nil || a == b || len(a) != 36 || a[14] != '4' {
		t.Errorf("%s, %s, %v", a, b, err)
	}
}
