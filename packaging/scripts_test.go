package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dpkg and rpm call the same scripts with words of their own. A vmhuge that only
// says what it is asked for stands in for the real one, which integration/lab has.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	const vmhuge = "#!/bin/sh\necho \"$*\" >>\"$CALLS\"\necho '{\"installed\":true,\"undone\":[]}'\n"
	if err := os.WriteFile(filepath.Join(dir, "vmhuge"), []byte(vmhuge), 0o755); err != nil {
		t.Fatal(err)
	}
	const update, remove = "--json hook status; hook install", "hook remove; --json status; --json undo --dry-run"
	for line, want := range map[string]string{
		"postinst configure":     update, // installed, or upgraded
		"postinst configure 1.0": update,
		"postinst 1":             update,
		"postinst 2":             update,
		"postinst abort-upgrade": "",
		"prerm remove":           remove,
		"prerm 0":                remove,
		"prerm upgrade 1.1":      "",
		"prerm 1":                "", // another version stays
		"postrm remove":          "",
		"postrm upgrade 1.1":     "",
		"postrm 1":               "",
	} {
		calls := filepath.Join(t.TempDir(), "calls")
		cmd := exec.Command("sh", strings.Fields(line)...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+calls)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		text, err := os.ReadFile(calls)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "; "); got != want {
			t.Errorf("%s calls %q, not %q", line, got, want)
		}
	}
}
