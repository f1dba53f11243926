package hosttest

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Split makes of a host with libvirtd the same with virtqemud: its process, its socket, its
// program, and the kernel's names for them.
func Split(t *testing.T, root string) {
	t.Helper()
	names := [][2]string{{"libvirtd", "virtqemud"}, {"libvirt-sock", "virtqemud-sock"}}
	for _, dir := range []string{"proc", "sys", "run"} {
		Must(t, filepath.WalkDir(filepath.Join(root, dir), func(file string, e fs.DirEntry, err error) error {
			if os.IsNotExist(err) || err == nil && !e.Type().IsRegular() {
				return nil
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			renamed := text
			for _, n := range names {
				renamed = bytes.ReplaceAll(renamed, []byte(n[0]), []byte(n[1]))
			}
			if bytes.Equal(text, renamed) {
				return nil
			}
			return os.WriteFile(file, renamed, 0o644)
		}))
	}
	socket := filepath.Join(root, "run/libvirt/libvirt-sock")
	if _, err := os.Stat(socket); err == nil {
		Must(t, os.Rename(socket, filepath.Join(root, "run/libvirt/virtqemud-sock")))
	}
	if _, err := os.Stat(filepath.Join(root, "run/libvirt")); err == nil {
		WriteFile(t, filepath.Join(root, "usr/sbin/virtqemud"), "ELF\n")
	}
}
