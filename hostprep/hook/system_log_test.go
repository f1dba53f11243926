package hook

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

// listen is a journal that is asked for nothing until somebody reads.
func listen(t *testing.T) (host.Host, *net.UnixConn) {
	t.Helper()
	h := host.Host{Root: hostfs.Root(t.TempDir())}
	path := h.Root.Path(journalSocket...)
	hosttest.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	hosttest.Must(t, err)
	t.Cleanup(func() { conn.Close() })
	return h, conn
}

// An event is an entry with its words, and no name of a guest makes another field of it.
func TestSystemLog(t *testing.T) {
	h, conn := listen(t)
	hosttest.Must(t, Log(h, Event{Operation: "prepare", Name: "web1\nPRIORITY=0\x1b", UUID: "6695", Result: Refused, Why: "1 is missing"}))
	buffer := make([]byte, 64<<10)
	n, err := conn.Read(buffer)
	hosttest.Must(t, err)
	const zeros = "\x00\x00\x00\x00\x00\x00\x00" // a length is 8 bytes, the lowest first
	want := "MESSAGE\n\x33" + zeros + "prepare of web1 PRIORITY=0 : refused (1 is missing)\nPRIORITY\n\x01" + zeros + "4\nSYSLOG_IDENTIFIER\n\x06" + zeros + "vmhuge\n"
	got := string(buffer[:n])
	if !strings.HasPrefix(got, want) || !strings.Contains(got, "VMHUGE_GUEST\n\x10"+zeros+"web1\nPRIORITY=0\x1b\nVMHUGE_UUID\n") {
		t.Errorf("%q\nnot %q", got, want)
	}
}

// A journal that nobody reads, and one that takes no entry so long, hold up no start.
func TestSystemLogIsFull(t *testing.T) {
	h, _ := listen(t)
	for range 3000 { // sockets queue fewer
		hosttest.Must(t, Log(h, Event{Operation: "prepare", Name: "web1", Result: Refused}))
	}
	hosttest.Must(t, Log(h, Event{Operation: "prepare", Name: strings.Repeat("x", 8<<20), Result: Held}))
}
