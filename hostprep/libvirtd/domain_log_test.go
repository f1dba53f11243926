package libvirtd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

func TestDomainLog(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- var/log/libvirt/qemu/web1.log --\none\n")}
	logs := h.Root.Libvirt().QEMULogs()
	dir := h.Root.Path(logs)
	text, file, err := DomainLog(h, logs, "web1")
	if err != nil || text != "one\n" || file != logs+"/web1.log" {
		t.Errorf("%q, %s, %v", text, file, err)
	}
	// Of a long one, the end.
	hosttest.Must(t, os.WriteFile(filepath.Join(dir, "long.log"), []byte(strings.Repeat("x", host.LogTail)+"end"), 0o600))
	if text, _, err := DomainLog(h, logs, "long"); err != nil || len(text) != host.LogTail || !strings.HasSuffix(text, "xend") {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	// No link is followed, and nothing but a file is opened.
	hosttest.Must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link.log")))
	hosttest.Must(t, os.Mkdir(filepath.Join(dir, "folder.log"), 0o755))
	hosttest.Must(t, os.Symlink(dir, h.Root.Path("linked")))
	for _, test := range [][2]string{
		{logs, "link"}, {logs, "folder"}, {"/linked", "web1"},
		{logs, ""}, {logs, "../web1"}, {logs, "a\x00"},
	} {
		if text, _, err := DomainLog(h, test[0], test[1]); err == nil || text != "" {
			t.Errorf("%q: %q", test, text)
		}
	}
	if _, _, err := DomainLog(h, logs, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

// A start before libvirtd's, and one after it; then one that libvirt stopped
// before it had a command line.
const threeStarts = `2026-11-21 15:00:00.100+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4+deb12u2 (Debian), qemu version: 7.2.22
-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-900-web1/master-key.aes"}' \
2026-11-21 15:10:00.000+0000: shutting down, reason=destroyed
2026-11-21 17:46:24.495+0200: starting up libvirt version: 9.0.0, package: 9.0.0-4+deb12u2 (Debian), qemu version: 7.2.22
-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-7-web1/master-key.aes"}' \
2026-11-21T15:46:24.866227Z qemu-system-x86_64: unable to map backing store for guest RAM: Cannot allocate memory
2026-11-21 15:50:00.000+0000: starting up libvirt version: 9.0.0
`

func TestIDSince(t *testing.T) {
	for name, row := range map[string]struct {
		log, since string
		want       int
	}{
		"before":    {threeStarts, "2026-11-21T14:00:00Z", 900},
		"between":   {threeStarts, "2026-11-21T15:30:00Z", 7},
		"after":     {threeStarts, "2026-11-21T15:48:00Z", 0},
		"cut off":   {threeStarts[300:], "2026-11-21T14:00:00Z", 7},
		"same time": {threeStarts, "2026-11-21T15:46:25Z", 7},
	} {
		since, err := time.Parse(time.RFC3339, row.since)
		if err != nil {
			t.Fatal(err)
		}
		if got := IDSince(row.log, since); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
	}
}
