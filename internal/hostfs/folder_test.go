package hostfs_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

// TestRemoveFolder leaves a folder that something is in, or that is mounted.
func TestRemoveFolder(t *testing.T) {
	hosttest.InMountNamespace(t, func(t *testing.T) {
		root := hostfs.Root(t.TempDir())
		for name, prepare := range map[string]func(path string) error{
			"empty":  func(path string) error { return os.Mkdir(path, 0o700) },
			"in-use": func(path string) error { return os.MkdirAll(path+"/file", 0o700) },
			"mounted": func(path string) error {
				if err := os.Mkdir(path, 0o700); err != nil {
					return err
				}
				return unix.Mount("tmpfs", path, "tmpfs", 0, "size=1m")
			},
			"none": func(string) error { return nil },
		} {
			if err := prepare(root.Path(name)); err != nil {
				t.Error(err)
				continue
			}
			err := root.RemoveFolder(name)
			_, gone := os.Stat(root.Path(name))
			if err != nil || (gone == nil) != (name == "in-use" || name == "mounted") {
				t.Errorf("%s: %v, %v", name, err, gone)
			}
			_ = unix.Unmount(root.Path(name), 0)
		}
	})
}
