package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// An installation, and one over it, leaves the man pages of other programs alone.
func TestInstall(t *testing.T) {
	from, root := t.TempDir(), t.TempDir()
	other := filepath.Join(root, "usr/local/share/man/man1/other.1")
	for _, file := range []string{
		filepath.Join(from, "vmhuge"), filepath.Join(from, "vmhuge-hook"), filepath.Join(from, "man/vmhuge.1"), filepath.Join(from, "copyright"),
		filepath.Join(from, "vmhuge.cdx.json"), filepath.Join(from, "completion.bash"), filepath.Join(from, "completion.fish"), filepath.Join(from, "completion.zsh"), other,
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("text\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		cmd := exec.Command("./install", from, root)
		cmd.Env = append(os.Environ(), "PREFIX=/usr/local")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	var names []string
	entries, err := os.ReadDir(filepath.Dir(other))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if err != nil || len(names) != 2 || names[0] != "other.1" || names[1] != "vmhuge.1.gz" {
		t.Errorf("%v: %q", err, names)
	}
}
