package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dpkg, rpm and pacman call the same scripts with words of their own. A vmhuge that only
// says what it is asked for stands in for the real one, which integration/lab has.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	const vmhuge = "#!/bin/sh\necho \"$*\" >>\"$CALLS\"\necho \"$ANSWER\"\n"
	if err := os.WriteFile(filepath.Join(dir, "vmhuge"), []byte(vmhuge), 0o755); err != nil {
		t.Fatal(err)
	}
	const systemctl = "#!/bin/sh\necho \"systemctl $*\" >>\"$CALLS\"\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(systemctl), 0o755); err != nil {
		t.Fatal(err)
	}
	// pacman sources functions.
	functions := filepath.Join(t.TempDir(), "vmhuge.install")
	if err := os.WriteFile(functions, []byte(output(t, "arch/scripts")+"\n\"$@\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const nothing = `{"installed":true,"given_back_kib":0,"left":[],"owed_kib":0,"undone":[],"version":1}`
	const update = "systemctl daemon-reload; systemctl try-restart vmhuge-metrics.service; --json hook status; hook install"
	const remove = "systemctl --quiet disable --now vmhuge-metrics.service; hook remove; --json status; --json undo --dry-run"
	for line, want := range map[string]string{
		"prerm remove # pages":   remove + "; undo --dry-run",
		"prerm 0 # files":        remove + "; undo --dry-run",
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

		functions + " post_install 1.0-1":       update,
		functions + " post_upgrade 1.1-1 1.0-1": update,
		functions + " pre_remove 1.0-1":         remove,
		functions + " pre_remove 1.0-1 # files": remove + "; undo --dry-run",
		functions + " post_remove 1.0-1":        "",
	} {
		calls := filepath.Join(t.TempDir(), "calls")
		words, stays, _ := strings.Cut(line, " # ") // what prepare has made, and still stands
		answer := nothing
		switch stays {
		case "pages":
			answer = strings.Replace(nothing, `_kib":0`, `_kib":2048`, 1)
		case "files":
			answer = strings.Replace(nothing, `"undone":[]`, `"undone":[{}]`, 1)
		}
		cmd := exec.Command("sh", strings.Fields(words)...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+calls, "ANSWER="+answer)
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
