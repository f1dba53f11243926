package main

import (
	"net"
	"path/filepath"
	"testing"
)

// A libvirt that takes the call and says nothing does not hold a shell up.
func TestCompleteUnanswered(t *testing.T) {
	t.Parallel() // it waits for an answer that does not come
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	code, stdout, stderr := try(t, "__complete", "--", "-c", "qemu+unix:///system?socket="+socket, "start", "")
	if code != exitDone || stdout+stderr != "" {
		t.Errorf("%d\n%s\n%s", code, stdout, stderr)
	}
}
