package distributions

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDebian has autopkgtest install the .deb on a Debian with libvirt and test it there; then
// the package is purged, and nothing of it is left.
func TestDebian(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this needs root, for a chroot; run: sudo ./just distributions")
	}
	dir := t.TempDir()
	t.Setenv("PACKAGERS", "deb")
	run(t, "../../packaging/build", dir)
	text := run(t, "unshare", "--mount", "--pid", "--fork", "./debian", one(t, dir, "vmhuge_*.deb"), filepath.Join(dir, "work"))
	t.Log(text)
	if results, left, ok := strings.Cut(text, "== left\n"); !strings.Contains(results, "\nhost                 PASS\n") || !ok || left != "" {
		t.Errorf("the test has not passed, or something is left: %q", left)
	}
}
