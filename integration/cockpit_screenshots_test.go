//go:build screenshots

package integration

import (
	"os"
	"path/filepath"
	"testing"
)

// TestScreenshotsOfCockpit makes the pictures of the Cockpit page in docs/ anew. just
// screenshots runs it.
func TestScreenshotsOfCockpit(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 160)
	done(t, "hook", "install", "--reload")
	defer done(t, "uninstall", "--yes")
	for _, g := range []guest{
		{name: "db1", memory: "<memory unit='MiB'>256</memory>", backing: pages2M},
		{name: "web1", memory: "<memory unit='MiB'>192</memory>", backing: pages2M},
		{name: "cache1", memory: "<memory unit='MiB'>128</memory>"},
	} {
		start(t, define(t, g))
	}
	defer done(t, "stop", "--force", "--timeout", "0s", "db1", "web1", "cache1")
	define(t, guest{name: "mail1", memory: "<memory unit='TiB'>1</memory>", backing: pages2M})

	dir := t.TempDir()
	browse(t, []string{"PICTURES=" + dir}, "pictures.js")
	pictures, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(pictures) == 0 {
		t.Fatalf("no pictures: %v", err)
	}
	for _, path := range pictures {
		picture, err := os.ReadFile(path)
		if err != nil || len(picture) > 100<<10 {
			t.Errorf("%s: %d bytes, %v", path, len(picture), err)
		}
		if _, err := saveSent(sent(filepath.Base(path), picture)); err != nil {
			t.Error(err)
		}
	}
}
