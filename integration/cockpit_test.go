package integration

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestCockpit opens the Cockpit page in a real browser, served by a real cockpit-ws, with
// guests of this libvirtd. cockpit/test/page.test.js has what is done there.
func TestCockpit(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 4)
	define(t, guest{name: "web1", memory: "<memory unit='MiB'>96</memory>", boots: true})
	idle := define(t, guest{name: "idle1", memory: "<memory unit='MiB'>96</memory>", boots: true})
	define(t, guest{name: "vast1", memory: "<memory unit='TiB'>1</memory>", backing: pages2M})

	type hostile struct {
		Name  string `json:"name"`
		Shown string `json:"shown"`
	}
	names := []hostile{
		{"<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"},
		{"--help", "--help"},
		{"$(touch owned); `id`", "$(touch owned); `id`"},
		{"web*", "web*"},
		{"\u202e1bew", "?1bew"},
		{"a\u009b31m\u200b", "a?31m?"},
	}
	for _, h := range names {
		define(t, guest{name: h.Name})
	}
	start(t, idle) // and has come up when it is to be stopped, at the end
	defer done(t, "uninstall", "--yes")
	list, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	browse(t, []string{"HOSTILE=" + string(list)}, "--test-reporter=spec", "--test", "page.test.js")
}

// browse serves the page, and runs node with these arguments in cockpit/test.
func browse(t *testing.T, env []string, args ...string) {
	t.Helper()
	dir := filepath.Join(scratch, "cockpit") // not in t.TempDir, which only root can enter
	if err := copyTree("../bin/cockpit", filepath.Join(dir, "data", "cockpit", "vmhuge")); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the page is not built; run: sudo ./just cockpit")
	} else if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./serve", append([]string{dir, "node"}, args...)...)
	cmd.Dir = "../cockpit/test"
	cmd.Env = append(append(os.Environ(), "PATH="+filepath.Join(scratch, "bin")+":"+os.Getenv("PATH")), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout // as it comes: it takes a while
	if err := cmd.Run(); err != nil {
		t.Fatalf("node %q: %v", args, err)
	}
}
